// Datasets opened with masks, and what their images hold after the loader.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toCocoRuns } from "../masks/coco-runs.js";
import { resampleMask } from "../masks/gather-mask.js";
import { encodeMask, type Mask, maskArea, maskBox } from "../masks/mask.js";
import { editCoco, picture, rectangle, writeCoco, writeLabels, writeYolo } from "../testing/dataset-files.js";
import { augmentPresets } from "./augment/presets.js";
import { type Batch, DataLoader, datasetStats, openDataset, type Recipe } from "./index.js";
import { regionMasks } from "./region-masks.js";

const { width, height } = picture;
const [x, y, w, h] = rectangle;
const square = [x, y, x + w, y, x + w, y + h, x, y + h];
/** The bits of the picture's rectangle. */
const filled = encodeMask(
  Array.from({ length: width * height }, (_, i) => {
    const [column, row] = [i % width, Math.floor(i / width)];
    return column >= x && column < x + w && row >= y && row < y + h ? 1 : 0;
  }),
  height,
  width,
);

let root = "";
let coco = "";
let yolo = "";
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "open-masks-"));
  coco = join(root, "coco");
  yolo = join(root, "yolo");
  await writeCoco(coco);
  for (const split of ["train", "valid"])
    editCoco(coco, split, ({ annotations }) => {
      annotations[0].segmentation = [square];
      annotations[1].segmentation = { size: [height, width], counts: toCocoRuns(filled).counts };
      annotations[2].segmentation = [[0, 0, 40, 0, 0, 30]];
      annotations.push({ ...annotations[2], id: 13, iscrowd: 1, segmentation: { ...toCocoRuns(filled) } });
    });
  await writeYolo(yolo);
  for (const split of ["train", "valid"])
    writeLabels(yolo, split, "a", [
      `0 ${square.map((value, i) => value / (i % 2 === 0 ? width : height)).join(" ")}`,
      "1 0.5 0.5 0.2 0.2",
    ]);
});
afterAll(() => rmSync(root, { recursive: true }));

describe("openDataset with masks", () => {
  it("has the outlines of objects and of crowd regions", () => {
    const { images, warnings } = openDataset(coco, "train", { masks: true });
    expect(images.map(({ outlines }) => outlines)).toEqual([
      [{ polygons: [Float64Array.from(square)] }, { mask: filled }],
      [{ polygons: [Float64Array.of(0, 0, 40, 0, 0, 30)] }],
    ]);
    expect(images[1].crowd.outlines).toEqual([{ mask: filled }]);
    expect(warnings.filter((text) => text.includes("outline"))).toEqual([
      expect.stringMatching(/the outline of annotation 11 in a.jpg is around 6, 3, 12, 9 and its box is/),
    ]);
  });

  it("reads polygons of YOLO, and says that the others are rectangles", () => {
    const labels = (split: string) => writeLabels(yolo, split, "b", [`1 ${square.map(() => 0.25).join(" ")}`]);
    expect(() => openDataset(yolo, "train", { masks: true })).toThrow(
      /The train split of .* cannot be used: 2 of 3 objects of the train split have no outline, such as line 2 of .*a\.txt: the masks would be rectangles/,
    );
    expect(() => openDataset(yolo, "train", { masks: true })).toThrow(
      expect.objectContaining({
        hint: `\`npx rfdetr data check ${yolo} --masks\` lists every fault; annotate the outlines of the objects, or train a detector`,
      }),
    );
    labels("train");
    const { images, warnings } = openDataset(yolo, "train", { masks: true });
    expect(warnings).toContainEqual(
      expect.stringMatching(/1 of 2 objects .* such as line 2 of .*: the rectangles of their boxes are taken as masks/),
    );
    const [{ outlines, boxes }] = images;
    expect(outlines?.[1]).toBeNull();
    const masks = regionMasks({ boxes, outlines }, height, width) as Mask[];
    expect(masks[0]).toEqual(filled);
    expect(maskBox(masks[1])).toEqual([16, 12, 24, 18]);
  });

  it("takes the rectangle where an outline encloses no pixel, and says so", async () => {
    const bare = join(root, "bare");
    await writeCoco(bare);
    editCoco(bare, "train", ({ annotations }) => {
      for (const annotation of annotations) annotation.segmentation = [square];
      annotations[0].segmentation = [[100, 100, 120, 100, 120, 120]];
      annotations.push({ ...annotations[1], id: 14 });
      annotations.push({ ...annotations[1], id: 15, bbox: [8.1, 4.1, 0.2, 0.2], segmentation: [[8, 4, 9, 5, 10, 6]] });
    });
    const { images, warnings } = openDataset(bare, "train", { masks: true });
    const [{ boxes, outlines }] = images;
    expect(outlines?.map((outline) => outline === null)).toEqual([true, false, false, true]);
    expect(warnings).toContainEqual(
      expect.stringMatching(
        /^2 of 5 objects of the train split have no outline, or one that encloses no pixel, such as/,
      ),
    );
    expect(datasetStats(bare, { masks: true }).splits[0].outlines).toEqual({ polygons: 3, masks: 0, none: 2 });
    const [far, , , small] = regionMasks({ boxes, outlines }, height, width) as Mask[];
    expect(far).toEqual(filled);
    expect(maskBox(small)).toEqual([8, 4, 9, 5]);
    const empty = [{ polygons: [Float64Array.of(100, 100, 120, 100, 120, 120)] }];
    expect(regionMasks({ boxes, outlines: empty }, height, width)).toEqual([filled]);
  });

  it("leaves them out where nobody asks", () => {
    for (const folder of [coco, yolo])
      for (const { outlines, crowd } of openDataset(folder, "valid").images)
        expect([outlines, crowd.outlines]).toEqual([undefined, undefined]);
  });

  it("joins them with those of other datasets", () => {
    const list = join(root, "list.yaml");
    writeFileSync(list, `datasets: [{path: ${coco}}]\n`);
    expect(openDataset(list, "train", { masks: true }).images[0].outlines).toEqual(
      openDataset(coco, "train", { masks: true }).images[0].outlines,
    );
  });

  it("has masks in the frame that a tag turns a picture to, as its boxes", async () => {
    const turned = join(root, "turned");
    await writeCoco(turned);
    const file = join(turned, "train", "a.jpg");
    writeFileSync(file, await sharp(file).rotate(270).withMetadata({ orientation: 6 }).toBuffer());
    editCoco(turned, "train", ({ annotations }) => {
      for (const annotation of annotations) annotation.segmentation = [square];
    });
    const [{ images }] = [openDataset(turned, "train", { masks: true })];
    expect(images[0].orientation).toBe(6);
    const [batch] = await batches(turned, recipe({ training: false, size: 60 }), 1);
    const mask = (batch.targets[0].masks as Mask[])[0];
    // The rectangle is red: the mask lies on its pixels.
    const [left, top, right, bottom] = maskBox(mask) as number[];
    const red = (column: number, row: number): number => batch.images[(row * 60 + column) * 3 + 2];
    expect(red((left + right) >> 1, (top + bottom) >> 1)).toBeLessThan(60);
    expect(red(left - 3, (top + bottom) >> 1)).toBeGreaterThan(90);
  });
});

const recipe = (more: Partial<Recipe>): Recipe => ({
  size: 60,
  training: true,
  scaleJitter: false,
  augment: augmentPresets.none,
  ...more,
});

async function batches(folder: string, recipe: Recipe, workers: number, epochs = 1): Promise<Batch[]> {
  const { images } = openDataset(folder, "train", { masks: true });
  const loader = new DataLoader({ recipe, workers });
  const made: Batch[] = [];
  const order = Array.from({ length: images.length * epochs }, (_, i) => i % images.length);
  for await (const batch of loader.batches(images, { order, batchSize: 1, seedOf: (position) => [position] }))
    made.push(batch);
  await loader.close();
  return made;
}

describe("statistics", () => {
  it("count outlines by their kind, where they are asked for", () => {
    const [train] = datasetStats(coco, { masks: true }).splits;
    expect(train.outlines).toEqual({ polygons: 2, masks: 1, none: 0 });
    expect(datasetStats(yolo, { masks: true }).splits[1].outlines).toEqual({ polygons: 1, masks: 0, none: 2 });
    expect(datasetStats(coco).splits[0].outlines).toBeUndefined();
  });
});

describe("the loader", () => {
  it("gives each target the masks of its objects at the size of the image", async () => {
    const [{ targets }] = await batches(coco, recipe({}), 0);
    expect(targets[0].masks).toEqual([resampleMask(filled, 60, 60), resampleMask(filled, 60, 60)]);
  });

  it("gives the same masks with and without threads, through every step of preparation", async () => {
    const hard = recipe({ scaleJitter: true, augment: augmentPresets.aggressive });
    const [alone, threads] = [await batches(coco, hard, 0, 8), await batches(coco, hard, 2, 8)];
    expect(threads.map(({ targets }) => targets)).toEqual(alone.map(({ targets }) => targets));
    for (const { targets } of alone)
      for (const { masks, labels } of targets) {
        expect(masks).toHaveLength(labels.length);
        for (const mask of masks ?? []) expect([mask.height, mask.width]).toEqual([60, 60]);
      }
    expect(alone.some(({ targets }) => targets[0].masks?.some((mask) => maskArea(mask) > 0))).toBe(true);
  });

  it("has no masks where the data has none", async () => {
    const loader = new DataLoader({ recipe: recipe({}), workers: 0 });
    const { images } = openDataset(coco, "train");
    for await (const { targets } of loader.batches(images, { order: [0], batchSize: 1, seedOf: () => [0] }))
      expect(Object.keys(targets[0])).toEqual(["boxes", "labels", "imageId"]);
  });
});
