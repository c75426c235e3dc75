import { describe, expect, it } from "vitest";
import type { DatasetImage, Split } from "../formats/dataset.js";
import { findQualityProblems, type JudgedSplit, type QualityLimits } from "./quality.js";

type Annotated = [label: number, box?: [number, number, number, number]];
const none = { boxes: new Float32Array(0), labels: new Int32Array(0), areas: new Float64Array(0) };

const image = (id: number, objects: Annotated[]): DatasetImage => ({
  id,
  file: `${id}.jpg`,
  width: 640,
  height: 480,
  orientation: 1,
  boxes: Float32Array.from(objects.flatMap(([, box], i) => box ?? [i, i, i + 100, i + 100])),
  labels: Int32Array.from(objects, ([label]) => label),
  areas: new Float64Array(objects.length),
  crowd: none,
});
const split = (name: Split, images: DatasetImage[], classNames = ["cat", "dog", "owl"]): JudgedSplit => ({
  split: name,
  source: `${name}.json`,
  dataset: { images, classNames },
});
const many = (label: number, count: number): Annotated[] => Array.from({ length: count }, () => [label]);
const messages = (splits: JudgedSplit[], limits?: QualityLimits): string[] =>
  findQualityProblems(splits, limits).map(({ check, message }) => `${check}: ${message}`);

describe("classes", () => {
  it("are nothing to speak of where each has some boxes in both splits", () => {
    const images = [
      image(
        1,
        [0, 1, 2].flatMap((label) => many(label, 10)),
      ),
    ];
    expect(messages([split("train", images), split("valid", images), split("test", [])])).toEqual([]);
  });

  it("are named that have no boxes, few or many", () => {
    const train = split("train", [image(1, [...many(0, 1500), ...many(1, 9)])]);
    expect(findQualityProblems([train])[0]).toEqual({
      check: "classes without boxes",
      split: "train",
      file: "train.json",
      id: null,
      message: "1 of 3 classes has no boxes in the train split: owl",
    });
    expect(messages([train]).slice(1)).toEqual([
      "rare classes: 1 of 3 classes has fewer than 10 boxes in the train split: dog (9)",
      "class imbalance: cat (1500) has 166 times the boxes of dog (9)",
    ]);
  });

  it("are named that only one of the splits has", () => {
    expect(messages([split("train", [image(1, many(0, 10))]), split("valid", [image(1, many(2, 1))])])).toEqual([
      "classes without boxes: 1 of 3 classes has no boxes in the train split: dog",
      "classes only in valid: 1 of 3 classes has boxes in the valid split but none in the train split: owl",
      "classes not in valid: 1 of 3 classes has no boxes in the valid split, and so no figure: cat",
    ]);
  });

  it("are named ten at a time", () => {
    const names = Array.from({ length: 30 }, (_, i) => `c${i}`);
    const [first] = messages([split("train", [image(1, many(0, 10))], names)]);
    expect(first).toMatch(/29 of 30 classes have no boxes in the train split: c1, .*, c10 and 19 more$/);
  });
});

describe("an image with many objects", () => {
  const train = split("train", [image(1, many(0, 150)), image(2, many(0, 500)), image(3, many(0, 100))]);

  it("is named with what the model gives and what counts", () => {
    expect(findQualityProblems([train], { detections: 300, maxDets: 100 })).toEqual([
      expect.objectContaining({ check: "classes without boxes" }),
      {
        check: "too many objects",
        split: "train",
        file: "2.jpg",
        id: 2,
        message:
          "an image has 500 objects, and 1 more have too many; the model gives 300, and AP counts 100 (eval_max_dets)",
      },
    ]);
    expect(messages([train], { detections: 300 })[1]).toBe(
      "too many objects: an image has 500 objects; the model gives 300",
    );
    expect(messages([train], { detections: 500, maxDets: 500 })).toHaveLength(1);
  });
});

describe("boxes", () => {
  it("that are tiny at the training resolution are counted", () => {
    const small: Annotated = [0, [10, 10, 16, 60]];
    const train = split("train", [image(1, [...many(0, 9), small])], ["cat"]);
    expect(messages([train], { resolution: { width: 640, height: 480 } })).toEqual([]);
    expect(messages([train], { resolution: { width: 384, height: 384 } })).toEqual([
      "tiny boxes: 10 % of 10 boxes have a side under 4 pixels at the training resolution 384×384: train at a higher one, or cut the pictures into tiles",
    ]);
  });

  it("that repeat another of the same class are counted in each image", () => {
    const box: Annotated[1] = [1, 2, 30, 40];
    const images = [
      image(7, [
        [0, box],
        [0, box],
        [0, box],
        [1, box],
        [0, [1, 2, 30, 41]],
      ]),
      image(8, [...many(0, 10), ...many(1, 10)]),
    ];
    expect(findQualityProblems([split("train", images, ["cat", "dog"])])).toEqual([
      {
        check: "repeated boxes",
        split: "train",
        file: "7.jpg",
        id: 7,
        message: "7.jpg has 2 boxes that repeat another of the same class",
      },
    ]);
  });
});
