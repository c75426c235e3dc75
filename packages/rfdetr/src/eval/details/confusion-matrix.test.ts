import { describe, expect, it } from "vitest";
import { CocoEvaluator } from "../coco/coco.js";
import { confusionMatrix } from "./confusion-matrix.js";
import { precisionRecallCurves } from "./precision-recall.js";

const at = (x: number) => [x, 0, x + 10, 10];

function evaluatorOf(truths: [number, number, number?][], detections: [number, number, number][]): CocoEvaluator {
  const evaluator = new CocoEvaluator({ classNames: ["cat", "dog"] });
  evaluator.addImage({
    id: 1,
    gt: {
      boxes: truths.flatMap(([x]) => at(x)),
      labels: truths.map(([, label]) => label),
      crowd: truths.map(([, , crowd]) => crowd ?? 0),
    },
    detections: {
      boxes: detections.flatMap(([x]) => at(x)),
      labels: detections.map(([, label]) => label),
      scores: detections.map(([, , s]) => s),
    },
  });
  return evaluator;
}

const rows = (evaluator: CocoEvaluator) => {
  const { counts, size } = confusionMatrix(evaluator);
  return Array.from({ length: size }, (_, r) => [...counts.slice(r * size, (r + 1) * size)]);
};

describe("confusion matrix", () => {
  it("counts hits, confusions, misses and false alarms (row predicted, column true)", () => {
    const evaluator = evaluatorOf(
      [
        [0, 0],
        [100, 0],
        [200, 1],
      ],
      [
        [0, 0, 0.9],
        [101, 1, 0.8],
        [300, 1, 0.7],
      ],
    );
    expect(rows(evaluator)).toEqual([
      [1, 0, 0],
      [1, 0, 1],
      [0, 1, 0],
    ]);
  });

  it("counts detections from a threshold on, compared as float32", () => {
    const count = (score: number) =>
      confusionMatrix(evaluatorOf([[0, 0]], [[0, 0, Math.fround(score)]]), { threshold: 0.31 });
    expect([count(0.3), count(0.31), count(0.32)].map(({ counts }) => counts[0])).toEqual([0, 1, 1]);
    expect(count(0.31).confidence).toBe(0.31);
  });

  it("leaves out detections at or below the confidence and overlaps at or below the IoU", () => {
    const weak = evaluatorOf([[0, 0]], [[0, 0, 0.25]]);
    expect(rows(weak)).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [1, 0, 0],
    ]);
    // 4 apart: 6 / 14 = 0.43.
    const apart = evaluatorOf([[0, 0]], [[4, 0, 0.9]]);
    expect(rows(apart)[0]).toEqual([0, 0, 1]);
  });

  it("gives a ground truth to the detection that overlaps most, and a rejected detection to the background", () => {
    const evaluator = evaluatorOf(
      [
        [0, 0],
        [5, 0],
      ],
      [
        [0.5, 1, 0.95],
        [0, 0, 0.5],
      ],
    );
    // The second-best choice of the rejected detection is not tried.
    expect(rows(evaluator)).toEqual([
      [1, 0, 0],
      [0, 0, 1],
      [1, 0, 0],
    ]);
  });

  it("does not know crowd regions, and keeps images apart", () => {
    const evaluator = evaluatorOf([[0, 0, 1]], [[0, 0, 0.9]]);
    evaluator.addImage({ id: 2, gt: { boxes: at(0), labels: [0] }, detections: { boxes: [], labels: [], scores: [] } });
    expect(rows(evaluator)).toEqual([
      [0, 0, 1],
      [0, 0, 0],
      [1, 0, 0],
    ]);
    expect(confusionMatrix(evaluator).names).toEqual(["cat", "dog", "background"]);
  });
});

describe("precision-recall curves", () => {
  it("show precision and score at each recall, for classes with ground truth", () => {
    const curves = precisionRecallCurves(
      evaluatorOf(
        [
          [0, 1],
          [100, 1],
        ],
        [
          [300, 1, 0.9],
          [0, 1, 0.8],
        ],
      ),
    );
    expect(curves.classes.map(({ class_name }) => class_name)).toEqual(["dog"]);
    const [{ precision, score, AP50 }] = curves.classes;
    expect([precision[0], precision[50], precision[51]]).toEqual([expect.closeTo(0.5, 12), expect.closeTo(0.5, 12), 0]);
    expect([score[50], score[51]]).toEqual([0.8, 0]);
    expect(AP50).toBeCloseTo((51 * 0.5) / 101, 12);
    expect(curves.AP50).toBe(AP50);
    expect([...curves.mean]).toEqual([...precision]);
  });

  it("are empty without ground truth", () => {
    expect(precisionRecallCurves(new CocoEvaluator({ classNames: ["a"] }))).toMatchObject({ classes: [], AP50: null });
  });
});
