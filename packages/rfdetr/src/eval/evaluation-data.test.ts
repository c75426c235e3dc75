import { mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeCoco } from "../testing/dataset-files.js";
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
});
