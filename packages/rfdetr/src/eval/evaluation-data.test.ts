import { mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { encodeMask, type Mask, maskBox } from "../masks/mask.js";
import { editCoco, writeCoco } from "../testing/dataset-files.js";
import { openEvaluationData } from "./evaluation-data.js";

const root = mkdtempSync(join(tmpdir(), "evaluation-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("data of an evaluation", () => {
  it.each([true, false])("leaves out an image that does not decode and says so (antialias: %s)", async (antialias) => {
    const folder = join(root, String(antialias));
    await writeCoco(folder);
    truncateSync(join(folder, "valid", "a.jpg"), 300);
    const read = async (onBadImage?: (message: string) => void): Promise<(number | string)[]> => {
      const ids: (number | string)[] = [];
      const options = { antialias, ...(onBadImage === undefined ? {} : { onBadImage }) };
      const { batches } = await openEvaluationData(folder, "valid", 32, 1, options);
      for await (const { imageIds } of batches()) ids.push(...imageIds);
      return ids;
    };
    const messages: string[] = [];
    expect(await read((message) => messages.push(message))).toEqual([2]);
    expect(messages).toEqual([expect.stringContaining("a.jpg does not decode")]);
    await expect(read()).rejects.toThrow(/a\.jpg does not decode/);
  });

  it.each([true, false])(
    "has the true masks at the annotated size where it is asked (antialias: %s)",
    async (antialias) => {
      const folder = join(root, `masks-${antialias}`);
      await writeCoco(folder);
      editCoco(folder, "valid", ({ annotations }) => {
        annotations[0].segmentation = [[6, 3, 18, 3, 18, 12, 6, 12]];
        annotations[2].segmentation = { size: [30, 40], counts: [0, 30, 1170] };
        annotations.push({ ...annotations[0], id: 13, iscrowd: 1, segmentation: [[0, 0, 5, 0, 5, 5, 0, 5]] });
      });
      const masksOf = async (masks: boolean) => {
        const { batches } = await openEvaluationData(folder, "valid", 32, 2, { antialias, masks });
        const all: (readonly Mask[] | undefined)[] = [];
        for await (const { truths } of batches()) all.push(...truths.map((truth) => truth.masks));
        return all;
      };
      expect(await masksOf(false)).toEqual([undefined, undefined]);
      const [a, b] = (await masksOf(true)) as Mask[][];
      // The second object has a box alone; the third is the crowd region.
      expect(a.map(maskBox)).toEqual([
        [6, 3, 18, 12],
        [30, 20, 40, 30],
        [0, 0, 5, 5],
      ]);
      expect(b).toEqual([
        encodeMask(
          Array.from({ length: 1200 }, (_, i) => (i % 40 === 0 ? 1 : 0)),
          30,
          40,
        ),
      ]);
    },
  );
});
