import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeMask } from "../../masks/mask.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { agreement } from "./agreement.js";

const detected = (...rows: (readonly [box: readonly number[], score: number, label: number])[]): ScoredBoxes => ({
  boxes: Float32Array.from(rows.flatMap(([box]) => box)),
  scores: Float32Array.from(rows.map(([, score]) => score)),
  labels: Int32Array.from(rows.map(([, , label]) => label)),
});

describe("agreement of two sets of detections", () => {
  const image = detected([[10, 10, 50, 50], 0.9, 1], [[60, 60, 90, 90], 0.6, 2]);

  it("is complete for equal sets", () => {
    expect(agreement([image], [image])).toEqual({
      box_error_px: 0,
      box_error_max_px: 0,
      score_error: 0,
      lost_share: 0,
      nonfinite_images: 0,
    });
  });

  it("measures corners in pixels, whatever the order of the detections", () => {
    const other = detected([[60, 60, 90, 90], 0.7, 2], [[12, 10, 50, 50], 0.9, 1]);
    const { box_error_px, box_error_max_px, score_error, lost_share } = agreement([image], [other]);
    expect(box_error_px).toBeCloseTo(2 / 8);
    expect(box_error_max_px).toBe(2);
    // Float32 scores.
    expect(score_error).toBeCloseTo(0.05, 6);
    expect(lost_share).toBe(0);
  });

  it("counts a detection as lost when no box of its class overlaps by half", () => {
    expect(agreement([image], [detected([[10, 10, 50, 50], 0.9, 2], [[80, 80, 120, 120], 0.6, 2])]).lost_share).toBe(1);
  });

  it("has the overlap of the masks of detections that both found, where the model has masks", () => {
    const masked = (...masks: number[][]) => ({ ...image, masks: masks.map((bits) => encodeMask(bits, 2, 2)) });
    const first = masked([1, 1, 0, 0], [0, 0, 0, 0]);
    expect(agreement([first], [first]).mask_iou).toEqual({ mean: 1, least: 1 });
    const second = masked([1, 0, 0, 0], [0, 0, 0, 0]);
    expect(agreement([first], [second]).mask_iou).toEqual({ mean: 0.75, least: 0.5 });
    expect(agreement([image], [image])).not.toHaveProperty("mask_iou");
  });

  it("uses each box once: two detections of the reference cannot share a mate", () => {
    const twice = detected([[10, 10, 50, 50], 0.9, 1], [[11, 10, 50, 50], 0.8, 1]);
    expect(agreement([twice], [detected([[10, 10, 50, 50], 0.9, 1])]).lost_share).toBe(0.5);
  });

  it("counts images with values that are not finite", () => {
    expect(agreement([image, image], [image, detected([[0, 0, Number.NaN, 1], 0.5, 1])]).nonfinite_images).toBe(1);
  });

  it("pairs as export does: the best sum, and nothing with what is not finite", () => {
    const near = detected([[0, 0, 100, 10], 0.9, 1], [[20, 0, 120, 10], 0.8, 1]);
    // Greedy by score, the first would take the box that the second needs.
    const moved = detected([[18, 0, 118, 10], 0.8, 1], [[-30, 0, 70, 10], 0.8, 1]);
    expect(agreement([near], [moved]).lost_share).toBe(0);
    const bad = detected([[Number.NaN, 0, 100, 10], 0.9, 1], [[20, 0, 120, 10], Number.NaN, 1]);
    expect(agreement([near], [bad])).toMatchObject({ lost_share: 1, nonfinite_images: 1 });
  });

  it("finds a shifted copy of any detections, and the shift", () => {
    const box = fc
      .tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 400 }))
      .map(([x, y]) => [x, y, x + 100, y + 80]);
    fc.assert(
      fc.property(fc.array(box, { minLength: 1, maxLength: 8 }), (boxes) => {
        // One class each, so that mates are certain.
        const rows = boxes.map((b, i) => [b, 0.9 - i / 100, i] as const);
        const shifted = boxes.map((b, i) => [b.map((v) => v + 1), 0.9 - i / 100, i] as const);
        expect(agreement([detected(...rows)], [detected(...shifted)])).toMatchObject({
          box_error_px: 1,
          lost_share: 0,
        });
      }),
    );
  });
});
