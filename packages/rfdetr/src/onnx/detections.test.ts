import { scope, tensor } from "@rfdetr/torch";
import { describe, expect, it, vi } from "vitest";
import { encodeMask, type Mask } from "../masks/mask.js";
import { maskIou, measureMask } from "../masks/overlap.js";
import { areFinite } from "../masks/resize-masks.js";
import { postprocess, toArrays } from "../model/images/postprocess.js";
import { Rng } from "../support/random.js";
import { areUsable, listBelow, listDetections, rowNames, selectBoxes } from "./detections.js";

vi.mock("../masks/resize-masks.js", { spy: true });

describe("selectBoxes", () => {
  it.each([
    [300, 91, 300],
    [30, 3, 60],
    [4, 2, 100],
  ])("selects of %d queries and %d rows the %d boxes that libtorch selects", (queries, rows, numSelect) => {
    const rng = new Rng("outputs", queries);
    const random = (): number => rng.uniform(-0.5, 1.5);
    const boxes = Float32Array.from({ length: queries * 4 }, random);
    // Of few values, so that many scores are equal.
    const logits = Float32Array.from({ length: queries * rows }, () => Math.round(random() * 40) / 8);
    const expected = scope(() => {
      const predBoxes = tensor(boxes, { shape: [1, queries, 4] });
      const predLogits = tensor(logits, { shape: [1, queries, rows] });
      return toArrays(postprocess({ predBoxes, predLogits }, [[480, 640]], numSelect)[0]);
    });
    const found = selectBoxes({ boxes, logits }, { width: 640, height: 480 }, numSelect);
    expect(found.labels).toEqual(expected.labels);
    expect(found.boxes).toEqual(expected.boxes);
    expect(Math.max(...found.scores.map((score, i) => Math.abs(score - expected.scores[i])))).toBeLessThan(1.2e-7);
  });
});

describe("the masks of selectBoxes", () => {
  it("are those of libtorch, for the detections above the least score", () => {
    const [queries, rows, side, height, width] = [12, 3, 9, 47, 81];
    const rng = new Rng("masks", 1);
    const draw = (length: number) => Float32Array.from({ length }, () => rng.uniform(-2, 2));
    const [boxes, logits, features, pixels] = [
      draw(queries * 4),
      draw(queries * rows),
      draw(queries * 4),
      draw(4 * side * side),
    ];
    const { expected, dense } = scope(() => {
      const predMasks = {
        spatialFeatures: tensor(pixels, { shape: [1, 4, side, side] }),
        queryFeatures: tensor(features, { shape: [1, queries, 4] }),
        bias: tensor([0.1]),
      };
      const predBoxes = tensor(boxes, { shape: [1, queries, 4] });
      const predLogits = tensor(logits, { shape: [1, queries, rows] });
      const [first] = postprocess({ predBoxes, predLogits, predMasks }, [[height, width]], 20, { leastScore: 0.6 });
      const { spatialFeatures, queryFeatures, bias } = predMasks;
      const dense = queryFeatures.matmul(spatialFeatures.flatten(2)).add(bias);
      return { expected: toArrays(first), dense: dense.toArray() as Float32Array };
    });
    const masks = { logits: dense, height: side, width: side };
    const found = selectBoxes({ boxes, logits, masks }, { width, height }, 20, 0.6);
    expect(found.masks?.length).toBe(found.scores.filter((score) => score > 0.6).length);
    expect(found.masks?.length).toBe(expected.masks?.length);
    for (const [i, mask] of (found.masks ?? []).entries()) {
      expect([mask.height, mask.width]).toEqual([height, width]);
      const iou = maskIou(measureMask(mask), measureMask(expected.masks?.[i] as Mask));
      expect(iou).toBeGreaterThan(0.999);
    }
    expect(selectBoxes({ boxes, logits, masks }, { width, height }, 20).masks).toHaveLength(20);
    expect(selectBoxes({ boxes, logits }, { width, height }, 20).masks).toBeUndefined();
  });

  it("are looked at once for each query, of however many classes it is", () => {
    const boxes = Float32Array.of(0.5, 0.5, 0.2, 0.2, 0.5, 0.5, 0.4, 0.4);
    const masks = { logits: new Float32Array(8).fill(1), height: 2, width: 2 };
    vi.mocked(areFinite).mockClear();
    const logits = Float32Array.of(3, 2, 1, 3, 2, 1);
    expect(selectBoxes({ boxes, logits, masks }, { width: 8, height: 8 }, 6, 0.5).masks).toHaveLength(6);
    expect(areFinite).toHaveBeenCalledTimes(2);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("make a detection unusable where a logit is %s", (broken) => {
    const boxes = Float32Array.of(0.5, 0.5, 0.2, 0.2, 0.5, 0.5, 0.4, 0.4);
    const outputs = (logit: number) => ({
      boxes,
      logits: Float32Array.of(3, -3),
      masks: { logits: Float32Array.of(1, logit, 1, 1, 1, 1, 1, 1), height: 2, width: 2 },
    });
    const size = { width: 8, height: 8 };
    const [good, bad] = [1, broken].map((logit) => selectBoxes(outputs(logit), size, 2, 0.5));
    expect(areUsable(outputs(1), good)).toBe(true);
    expect(areUsable(outputs(broken), bad)).toBe(false);
    expect(Array.from(bad.scores, Number.isNaN)).toEqual([true, false]);
    // The mask of a detection at most as good as the least score is not looked at.
    expect(areUsable(outputs(broken), selectBoxes(outputs(broken), size, 2, 0.99))).toBe(true);
  });

  it("belong to the detections that are listed", () => {
    const found = {
      boxes: new Float32Array(8),
      scores: Float32Array.of(0.9, 0.2),
      labels: new Int32Array(2),
      masks: [encodeMask([1], 1, 1)],
    };
    expect(listDetections(found, ["cat"], 0.5)).toMatchObject([{ mask: found.masks[0] }]);
  });
});

describe("listBelow", () => {
  it("has the best of each class that is not above the threshold, best first", () => {
    const found = {
      boxes: new Float32Array(24),
      scores: Float32Array.of(0.9, 0.5, 0.4, 0.3, 0.2, 0.1),
      labels: Int32Array.of(0, 1, 1, 0, 0, 2),
    };
    expect(listBelow(found, ["cat", "dog"], 0.5)).toEqual([
      { classId: 1, className: "dog", score: 0.5 },
      { classId: 0, className: "cat", score: Math.fround(0.3) },
      { classId: 2, className: "class 2", score: Math.fround(0.1) },
    ]);
    expect(listBelow(found, ["cat", "dog"], 0)).toEqual([]);
  });
});

describe("rowNames", () => {
  it("names the rows of the classes, and the row without a class", () => {
    expect(rowNames(["cat", "dog"], 3)).toEqual(["cat", "dog", null]);
    expect(rowNames(["cat"], 3)).toEqual(["cat", "class 1", null]);
    expect(rowNames(["cat", "dog", "toothbrush"], 3)).toEqual(["cat", "dog", "toothbrush"]);
  });

  it("leave out what is detected of the row without a class, and keep the masks of the others", () => {
    const found = {
      boxes: Float32Array.from({ length: 12 }, (_, i) => i),
      scores: Float32Array.of(0.9, 0.8, 0.2),
      labels: Int32Array.of(2, 0, 2),
      masks: [encodeMask([0], 1, 1), encodeMask([1], 1, 1)],
    };
    const names = rowNames(["cat", "dog"], 3);
    const cat = { box: [4, 5, 6, 7], score: Math.fround(0.8), classId: 0, className: "cat", mask: found.masks[1] };
    expect(listDetections(found, names, 0.5)).toEqual([cat]);
    expect(listBelow(found, names, 0.85)).toEqual([{ classId: 0, className: "cat", score: Math.fround(0.8) }]);
  });
});
