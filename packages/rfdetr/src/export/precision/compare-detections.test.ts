import { describe, expect, it } from "vitest";
import { encodeMask } from "../../masks/mask.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { compareDetections } from "./compare-detections.js";

type Row = readonly [label: number, score: number, left: number, top: number, right: number, bottom: number];

function detections(...rows: readonly Row[]): ScoredBoxes {
  return {
    labels: Int32Array.from(rows, ([label]) => label),
    scores: Float32Array.from(rows, ([, score]) => score),
    boxes: Float32Array.from(rows.flatMap(([, , ...box]) => box)),
  };
}

describe("two forms of the detections of an image", () => {
  it("are the same where nothing differs", () => {
    const all = detections([0, 0.75, 0, 0, 10, 10], [1, 0.25, 20, 20, 40, 40]);
    expect(compareDetections(all, all, 0.5)).toEqual({
      pairs: [
        { label: 0, score: 0.75, box: [0, 0, 10, 10], other: 0.75, boxPx: 0 },
        { label: 1, score: 0.25, box: [20, 20, 40, 40], other: 0.25, boxPx: 0 },
      ],
      flips: 0,
    });
  });

  it("have the overlap of their masks where both have one", () => {
    const masks = (...bits: number[]) => ({ masks: [encodeMask(bits, 2, 2)] });
    const one = detections([0, 0.75, 0, 0, 10, 10]);
    const iou = (a: object, b: object) => compareDetections({ ...one, ...a }, { ...one, ...b }, 0.5).pairs[0].maskIou;
    expect(iou(masks(1, 1, 0, 0), masks(0, 1, 1, 0))).toBeCloseTo(1 / 3, 12);
    expect(iou(masks(0, 0, 0, 0), masks(0, 0, 0, 0))).toBe(1);
    expect(iou(masks(0, 0, 0, 0), masks(1, 0, 0, 0))).toBe(0);
    expect(iou(masks(1, 1, 0, 0), {})).toBeUndefined();
  });

  it("are paired whatever their order, and never twice", () => {
    const first = detections([0, 0.75, 0, 0, 10, 10], [0, 0.5, 1, 0, 11, 10]);
    const second = detections([0, 0.625, 1, 0, 11, 10], [0, 0.625, 0, 0, 10, 10]);
    const { pairs } = compareDetections(first, second, 0.25);
    expect(pairs.map(({ boxPx }) => boxPx)).toEqual([0, 0]);
  });

  it.each([
    ["that the other does not have", detections()],
    ["that has another class there", detections([1, 0.75, 0, 0, 10, 10])],
    ["whose box is elsewhere", detections([0, 0.75, 6, 0, 16, 10])],
  ])("differ by a detection %s", (_, second) => {
    const { pairs, flips } = compareDetections(detections([0, 0.75, 0, 0, 10, 10]), second, 0.5);
    expect(pairs).toMatchObject([{ other: 0, boxPx: null }]);
    expect(flips).toBe(1 + second.scores.length);
  });

  it("flip where a score crosses the threshold, once for the detection", () => {
    const [above, below] = [detections([0, 0.625, 0, 0, 10, 10]), detections([0, 0.375, 0, 0, 10, 12])];
    expect(compareDetections(above, below, 0.5)).toMatchObject({ pairs: [{ other: 0.375, boxPx: 2 }], flips: 1 });
    expect(compareDetections(below, above, 0.5).flips).toBe(1);
    expect(compareDetections(above, below, 0.25).flips).toBe(0);
  });

  it("leave out faint detections behind the best sixteen", () => {
    const row = (score: number): Row => [0, score, 0, 0, 10, 10];
    const many = (count: number, score: number) => Array.from({ length: count }, () => row(score));
    expect(compareDetections(detections(...many(20, 0.03)), detections(), 0.5).pairs).toHaveLength(16);
    expect(compareDetections(detections(...many(20, 0.25)), detections(), 0.5).pairs).toHaveLength(20);
  });
});
