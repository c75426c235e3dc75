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
      score_error_max: 0,
      lost_share: 0,
      at_threshold: {
        ...{ threshold: 0.5, reference: 2, found: 2, only_reference: 0, only_found: 0 },
        ...{ highest_score: null, images: [] },
      },
      nonfinite_images: 0,
    });
  });

  it("measures corners in pixels, whatever the order of the detections", () => {
    const other = detected([[60, 60, 90, 90], 0.7, 2], [[12, 10, 50, 50], 0.9, 1]);
    const { box_error_px, box_error_max_px, score_error, score_error_max, lost_share } = agreement([image], [other]);
    expect(box_error_px).toBeCloseTo(2 / 8);
    expect(box_error_max_px).toBe(2);
    // Float32 scores.
    expect(score_error).toBeCloseTo(0.05, 6);
    expect(score_error_max).toBeCloseTo(0.1, 6);
    expect(lost_share).toBe(0);
  });

  it("counts a detection as lost when no box of its class overlaps by half", () => {
    expect(agreement([image], [detected([[10, 10, 50, 50], 0.9, 2], [[80, 80, 120, 120], 0.6, 2])]).lost_share).toBe(1);
  });

  it("has no largest error either where nothing was found in both", () => {
    const nowhere = detected([[200, 200, 210, 210], 0.9, 1]);
    const { box_error_max_px, score_error_max } = agreement([image], [nowhere]);
    expect([box_error_max_px, score_error_max]).toEqual([Number.NaN, Number.NaN]);
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

describe("detections above a threshold, as predict reports them", () => {
  const [here, there] = [
    [10, 10, 50, 50],
    [60, 60, 90, 90],
  ];
  /** Counts of one image in two sets: of each set, and of those without a partner. */
  const counts = (ours: ScoredBoxes, theirs: ScoredBoxes, threshold = 0.5) => {
    const { reference, found, only_reference, only_found } = agreement([ours], [theirs], { threshold }).at_threshold;
    return [reference, found, only_reference, only_found];
  };

  it("change where a score crosses the threshold, though the box is found in both: nothing is lost, and one is gone", () => {
    const before = detected([here, 0.302, 1], [there, 0.9, 1]);
    const after = detected([there, 0.9, 1], [here, 0.249, 1]);
    expect(agreement([before], [after], { threshold: 0.26 })).toMatchObject({
      lost_share: 0,
      at_threshold: { threshold: 0.26, reference: 2, found: 1, only_reference: 1, only_found: 0 },
    });
    expect(counts(after, before, 0.26)).toEqual([1, 2, 0, 1]);
    // Both are above, or both below.
    expect(counts(before, after, 0.2)).toEqual([2, 2, 0, 0]);
    expect(counts(before, after, 0.4)).toEqual([1, 1, 0, 0]);
  });

  it("are those above the threshold, and not those that equal it, as in predict", () => {
    expect(counts(detected([here, 0.5, 1]), detected([here, 0.75, 1]), 0.5)).toEqual([0, 1, 0, 1]);
  });

  it("change on both sides where the class or the box is another", () => {
    expect(counts(detected([here, 0.9, 1]), detected([here, 0.9, 2]))).toEqual([1, 1, 1, 1]);
    expect(counts(detected([here, 0.9, 1]), detected([there, 0.9, 1]))).toEqual([1, 1, 1, 1]);
    // An overlap of half is enough, and boxes are held together as far as that goes.
    expect(counts(detected([[0, 0, 10, 10], 0.9, 1]), detected([[0, 0, 10, 5], 0.9, 1]))).toEqual([1, 1, 0, 0]);
  });

  it("have a partner that is reported: one below the threshold is none, though its score is nearer", () => {
    const ours = detected([here, 0.55, 1]);
    const theirs = detected([here, 0.9, 1], [here, 0.45, 1]);
    expect(counts(ours, theirs)).toEqual([1, 1, 0, 0]);
  });

  it("are counted over all images, with those that differ most first, by name, and the highest score among them", () => {
    const both = detected([here, 0.9, 1], [there, 0.6, 2]);
    const none = detected();
    const { at_threshold } = agreement([both, both, none], [both, none, detected([here, 0.7, 3])], {
      names: ["same.jpg", "gone.jpg", 7],
    });
    expect(at_threshold).toMatchObject({ reference: 4, found: 3, only_reference: 2, only_found: 1 });
    expect(at_threshold.highest_score).toBeCloseTo(0.9, 6);
    expect(at_threshold.images).toEqual([
      { image: "gone.jpg", only_reference: 2, only_found: 0 },
      { image: 7, only_reference: 0, only_found: 1 },
    ]);
  });

  it("have as many partners as any pairing has, the same from both sides, whatever the sets", () => {
    const rows = fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 4 }).map((x) => [10 * x, 0, 10 * x + 30, 20]),
        fc.integer({ min: 1, max: 9 }).map((tenths) => tenths / 10),
        fc.integer({ min: 0, max: 1 }),
      ),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(rows, rows, (a, b) => {
        const [ours, theirs] = [counts(detected(...a), detected(...b)), counts(detected(...b), detected(...a))];
        expect(theirs).toEqual([ours[1], ours[0], ours[3], ours[2]]);
        expect(ours[0] - ours[2]).toBe(most(a.filter(isAbove), b.filter(isAbove)));
      }),
    );
    type Row = readonly [box: readonly number[], score: number, label: number];
    function isAbove([, score]: Row): boolean {
      return score > 0.5;
    }
    /** The size of the largest matching, by trying every one: boxes 10 apart overlap by half, boxes 20 apart do not. */
    function most([first, ...others]: Row[], mates: Row[]): number {
      if (first === undefined) return 0;
      const fits = mates.filter(([box, , label]) => label === first[2] && Math.abs(box[0] - first[0][0]) <= 10);
      return Math.max(
        most(others, mates),
        ...fits.map(
          (mate) =>
            1 +
            most(
              others,
              mates.filter((each) => each !== mate),
            ),
        ),
      );
    }
  });
});
