import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { type Mask, maskArea, maskBox, uniteMasks } from "../../masks/mask.js";
import { openDataset } from "../open-dataset.js";
import { type SynthOptions, synthesize } from "./synth.js";

const root = mkdtempSync(join(tmpdir(), "synth-"));
afterAll(() => rmSync(root, { recursive: true }));

it.each<[SynthOptions, string]>([
  [{ size: 5_000_000 }, "Expected integer from 64 to 4096 for size but received 5000000"],
  [{ size: 63 }, "Expected integer from 64 to 4096 for size but received 63"],
  [{ images: 0 }, "Expected integer from 1 to 1000000 for images but received 0"],
  [{ images: 1e12 }, "Expected integer from 1 to 1000000 for images but received 1000000000000"],
  [{ classes: 25 }, "Expected integer from 1 to 24 for classes but received 25"],
  [{ classes: 1.5 }, "Expected integer from 1 to 24 for classes but received 1.5"],
  [{ seed: -1 }, "for seed but received -1"],
])("a synthetic dataset is refused with %j", async (options, message) => {
  const folder = join(root, "data");
  await expect(synthesize(folder, options)).rejects.toMatchObject({
    code: "ERR_USAGE",
    message: expect.stringContaining(message),
  });
  expect(existsSync(folder)).toBe(false);
});

it("a synthetic dataset has the visible pixels of each object", async () => {
  const folder = join(mkdtempSync(join(tmpdir(), "synth-masks-")), "data");
  await synthesize(folder, { images: 20, size: 96, classes: 3 });
  const { images } = openDataset(folder, "train", { masks: true });
  let covered = 0;
  for (const { boxes, areas, outlines = [], width, height } of images) {
    const masks = outlines.map((outline) => (outline as { mask: Mask }).mask);
    // A pixel shows one object.
    expect(maskArea(uniteMasks(masks))).toBe(masks.reduce((sum, mask) => sum + maskArea(mask), 0));
    for (const [i, mask] of masks.entries()) {
      expect([mask.width, mask.height, maskArea(mask)]).toEqual([width, height, areas[i]]);
      const [left, top, right, bottom] = boxes.subarray(i * 4, i * 4 + 4);
      const box = maskBox(mask) as number[];
      expect(box[0] >= left && box[1] >= top && box[2] <= right && box[3] <= bottom).toBe(true);
      if (box.join() !== [left, top, right, bottom].join()) covered++;
    }
    // Nothing lies on the last one, whose pixels touch every side of its box.
    expect(maskBox(masks.at(-1) as Mask)).toEqual([...boxes.subarray(-4)]);
  }
  expect(covered).toBeGreaterThan(0);
  rmSync(dirname(folder), { recursive: true });
});

it("a synthetic dataset may be named with a slash at the end", async () => {
  await synthesize(`${join(root, "slash")}/`, { images: 1, size: 64, classes: 1 });
  expect(readdirSync(root)).toEqual(["slash"]);
});
