import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { DatasetImage } from "../../data/formats/dataset.js";
import { splitBoxes } from "../../data/split-boxes.js";
import { boxPositionFigure, boxShapeFigure, boxSizeFigure, classCountFigure, labelsFigure } from "./data-figures.js";

const nothing = { boxes: new Float32Array(), labels: new Int32Array(), areas: new Float64Array() };

function image(id: number, width: number, height: number, boxes: number[][], labels: number[]): DatasetImage {
  const areas = Float64Array.from(boxes, ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1));
  const regions = { boxes: Float32Array.from(boxes.flat()), labels: Int32Array.from(labels), areas };
  return { id, file: `${id}.jpg`, width, height, orientation: 1, ...regions, crowd: nothing };
}

describe("boxes in columns", () => {
  it("have centre and size as fractions, √area and aspect in pixels", () => {
    const { boxes, objects, imagesOfClass } = splitBoxes(
      "train",
      [image(1, 200, 100, [[20, 10, 60, 20]], [1]), image(2, 50, 50, [], [])],
      2,
    );
    expect([...boxes.x, ...boxes.y, ...boxes.width, ...boxes.height].map((v) => Number(v.toFixed(4)))).toEqual([
      0.2, 0.15, 0.2, 0.1,
    ]);
    expect([boxes.side[0], boxes.aspect[0]]).toEqual([20, 4]);
    expect([[...objects], [...imagesOfClass]]).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });
});

describe("figures of data", () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `<class> ${i}`);
  const split = (name: string, classes: number, images: number) =>
    splitBoxes(
      name,
      Array.from({ length: images }, (_, i) => image(i, 64, 48, [[i % 30, i % 20, 34, 40]], [i % classes])),
      classes,
    );

  for (const [what, classes, splits] of [
    ["one class and one split", 1, [split("train", 1, 5)]],
    ["two splits", 8, [split("train", 8, 500), split("valid", 8, 60)]],
    ["three splits of 80 classes", 80, [split("train", 80, 900), split("valid", 80, 90), split("test", 80, 9)]],
    ["a split without images", 3, [split("train", 3, 9), split("valid", 3, 0)]],
    ["no split", 2, []],
  ] as const)
    it(`are whole with ${what}`, async () => {
      for (const figure of [
        classCountFigure(splits, names(classes)),
        boxSizeFigure(splits),
        boxPositionFigure(splits),
        boxShapeFigure(splits),
        labelsFigure(splits, names(classes)),
      ]) {
        expect(figure.svg).not.toMatch(/NaN|undefined|Infinity|<class>/);
        const { width, height } = await sharp(Buffer.from(figure.svg)).metadata();
        expect([width, height]).toEqual([figure.width, figure.height]);
      }
    });

  it("show the rarest of many classes too", () => {
    const { svg } = classCountFigure([split("train", 80, 830)], names(80));
    expect(svg).toContain("40 classes between, then the rarest");
  });
});
