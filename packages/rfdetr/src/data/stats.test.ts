import { expect, it } from "vitest";
import type { DatasetImage } from "./formats/dataset.js";
import { type ReadSplits, statsOf } from "./stats.js";

const image = (...labels: number[]): DatasetImage =>
  ({ width: 8, height: 8, labels, areas: labels.map(() => 9) }) as unknown as DatasetImage;

it("lists the classes of all splits in one order: most boxes of the dataset first", () => {
  const splits = [
    { split: "train", images: [image(0, 1, 1, 1)] },
    { split: "valid", images: [image(0), image(2)] },
  ] as unknown as ReadSplits["splits"];
  const stats = statsOf({ layout: "coco", classNames: ["cat", "dog", "owl"], splits, faults: 0 });
  expect(stats.splits.map(({ classes }) => classes.map(({ name, boxes }) => `${name} ${boxes}`))).toEqual([
    ["dog 3", "cat 1", "owl 0"],
    ["dog 0", "cat 1", "owl 1"],
  ]);
});

it("counts sizes as evaluation does: an object of exactly 32² pixels is small, one of 96² medium", () => {
  const areas = [1023, 1024, 1025, 9216, 9217];
  const sized = { width: 200, height: 200, labels: areas.map(() => 0), areas } as unknown as DatasetImage;
  const splits = [{ split: "train", images: [sized] }] as unknown as ReadSplits["splits"];
  const [{ sizes }] = statsOf({ layout: "coco", classNames: ["cat"], splits, faults: 0 }).splits;
  expect(sizes).toEqual({ small: 2, medium: 2, large: 1 });
});

it("lists the ten most frequent image sizes, and counts the others", () => {
  const images = Array.from({ length: 14 }, (_, i) => ({
    width: 100 + Math.min(i, 11),
    height: 9,
    labels: [],
    areas: [],
  }));
  const splits = [{ split: "train", images }] as unknown as ReadSplits["splits"];
  const [{ imageSizes, otherImageSizes }] = statsOf({ layout: "coco", classNames: [], splits, faults: 0 }).splits;
  expect(imageSizes[0]).toEqual({ size: "111×9", images: 3 });
  expect([imageSizes.length, otherImageSizes]).toEqual([10, 2]);
});
