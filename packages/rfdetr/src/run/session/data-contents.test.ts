import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { DatasetImage } from "../../data/index.js";
import { testFolder } from "../../testing/test-folder.js";
import { dataDifferences, moduleDifferences, splitContents } from "./data-contents.js";

const folder = testFolder({ emptied: true });

const regions = (boxes: number[][], labels: number[]) => ({
  boxes: Float32Array.from(boxes.flat()),
  labels: Int32Array.from(labels),
  areas: new Float64Array(labels.length),
});
const image = (file: string, boxes: number[][] = [[0, 0, 4, 4]], labels = [0]): DatasetImage => ({
  id: 1,
  file,
  width: 8,
  height: 8,
  orientation: 1,
  ...regions(boxes, labels),
  crowd: regions([], []),
});
const hashOf = (...images: DatasetImage[]) => splitContents({ images }).sha256;

describe("the contents of a split", () => {
  it("are the same wherever the dataset lies, and on either side of a slash", () => {
    const first = hashOf(image("/a/train/x/1.jpg"), image("/a/train/y/2.jpg"));
    expect(hashOf(image("/b/c/train/x/1.jpg"), image("/b/c/train/y/2.jpg"))).toBe(first);
    expect(hashOf(image("D:\\data\\x\\1.jpg"), image("D:\\data\\y\\2.jpg"))).toBe(first);
  });

  it("differ with a name, a box, a class or the order", () => {
    const all = [
      hashOf(image("/a/1.jpg"), image("/a/2.jpg")),
      hashOf(image("/a/1.jpg"), image("/a/3.jpg")),
      hashOf(image("/a/1.jpg", [[0, 0, 4, 5]]), image("/a/2.jpg")),
      hashOf(image("/a/1.jpg", [[0, 0, 4, 4]], [1]), image("/a/2.jpg")),
      hashOf(image("/a/2.jpg"), image("/a/1.jpg")),
      hashOf(image("/a/1.jpg", [], []), image("/a/2.jpg")),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it("tell what another layout or format keeps: names without folders, classes by name, boxes as far as they are rounded", () => {
    const images = [image("/a/train/1.jpg", [[-3, 0, 4.0001, 4]]), image("/a/train/2.jpg", [[1, 1, 2, 2]], [1])];
    const coco = splitContents({ images, classNames: ["cat", "dog"] });
    const moved = [image("/b/images/2.jpg", [[1, 1, 2, 2]], [0]), image("/b/images/1.jpg", [[0, 0, 4, 4]], [1])];
    const yolo = splitContents({ images: moved, classNames: ["dog", "cat"] });
    expect(yolo.sha256).not.toBe(coco.sha256);
    expect(yolo.alike?.sha256).toBe(coco.alike?.sha256);
    for (const [i, value] of (coco.alike?.box ?? []).entries()) expect(yolo.alike?.box[i]).toBeCloseTo(value, 2);
    const renamed = splitContents({ images: moved, classNames: ["cat", "dog"] });
    expect(renamed.alike?.sha256).not.toBe(coco.alike?.sha256);
  });

  it("differ with the size of a file of the same name, except from a record that lacks sizes", () => {
    const file = join(folder, "1.jpg");
    const of = (content: string) => {
      writeFileSync(file, content);
      const split = splitContents({ images: [image(file)] });
      return { train: split, valid: split };
    };
    const [first, same, other] = [of("one"), of("two"), of("three")];
    expect(dataDifferences(first, same)).toEqual([]);
    expect(dataDifferences({ ...other, train: first.train }, other)).toEqual([
      "train has other pictures than before, under the same names",
    ]);
    const { sizes: _, ...earlier } = first.train;
    expect(dataDifferences({ train: earlier, valid: earlier }, other)).toEqual([]);
  });

  it("that differ are described by their counts where these differ", () => {
    const [one, two] = [splitContents({ images: [image("/a/1.jpg")] }), splitContents({ images: [] })];
    const other = splitContents({ images: [image("/a/2.jpg", [[1, 1, 2, 2]])] });
    expect(dataDifferences({ train: one, valid: one }, { train: one, valid: one })).toEqual([]);
    expect(dataDifferences({ train: one, valid: one }, { train: two, valid: other })).toEqual([
      "train had 1 images with 1 objects and has 0 with 0",
      "valid has other files or annotations than before, in equal numbers",
    ]);
  });

  it("say which module of augmentations has changed", () => {
    const before = { "/a/rain.js": "1", "/a/snow.js": "2" };
    expect(moduleDifferences(before, { "/a/rain.js": "1", "/a/snow.js": "3", "/a/fog.js": "4" })).toEqual([
      "/a/snow.js has changed, so augmentation differs from here on",
    ]);
    expect(moduleDifferences(undefined, { "/a/rain.js": "1" })).toEqual([]);
  });
});
