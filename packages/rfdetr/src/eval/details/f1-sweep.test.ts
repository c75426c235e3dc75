import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { goldenDatasets, loadGolden } from "../../testing/evaluation/load-golden.js";
import { CocoEvaluator } from "../coco/coco.js";
import { f1Sweep } from "./f1-sweep.js";

const read = (place: string) => JSON.parse(readFileSync(new URL(`${place}.json`, import.meta.url), "utf8"));

describe("F1 sweep", () => {
  const datasets = [...goldenDatasets("coco"), ...goldenDatasets("coco-masks")];
  const goldens: {
    name: string;
    best: { threshold: number; precision: number; recall: number; f1: number };
    per_class_f1: number[];
    macro_f1: number[];
  }[] = read("./fixtures/f1-sweep");

  for (const [i, golden] of goldens.entries()) {
    it(`equals the Python package: ${golden.name}`, () => {
      expect(datasets[i].name).toBe(golden.name);
      const evaluator = loadGolden(datasets[i]);
      const sweep = f1Sweep(evaluator, evaluator.hasMasks ? "masks" : "boxes");
      // Means over a few classes, added in another order.
      sweep.macro.f1.forEach((value, t) => {
        expect(value).toBeCloseTo(golden.macro_f1[t], 12);
      });
      expect(sweep.best.threshold).toBe(golden.best.threshold);
      for (const key of ["precision", "recall", "f1"] as const)
        expect(sweep.best[key]).toBeCloseTo(golden.best[key], 12);
      sweep.best.per_class.forEach((entry, k) => {
        expect(entry.f1).toBeCloseTo(golden.per_class_f1[k], 12);
      });
    });
  }

  it("takes the first of equal thresholds, and a score equal to a threshold counts", () => {
    const evaluator = new CocoEvaluator({ classNames: ["a", "absent"] });
    evaluator.addImage({
      id: 1,
      gt: { boxes: [0, 0, 10, 10], labels: [0] },
      detections: { boxes: [0, 0, 10, 10, 50, 50, 60, 60], labels: [0, 0], scores: [0.75, 0.25] },
    });
    const { best, macro } = f1Sweep(evaluator);
    expect(best).toMatchObject({ threshold: 0.26, precision: 1, recall: 1, f1: 1 });
    expect([macro.f1[25], macro.f1[75], macro.f1[76]]).toEqual([2 / 3, 1, 0]);
    expect(best.per_class[1]).toEqual({
      class_id: 1,
      class_name: "absent",
      threshold: 0.26,
      precision: 0,
      recall: 0,
      f1: 0,
    });
  });

  it("tells up to which threshold a class has detections, wrong ones included", () => {
    const evaluator = new CocoEvaluator({ classNames: ["a", "b"] });
    evaluator.addImage({
      id: 1,
      gt: { boxes: [0, 0, 10, 10, 0, 0, 10, 10], labels: [0, 1] },
      detections: { boxes: [0, 0, 10, 10, 50, 50, 60, 60], labels: [0, 0], scores: [0.5, 0.755] },
    });
    expect(f1Sweep(evaluator).classes.map(({ reached }) => reached)).toEqual([76, 0]);
  });

  it("gives a detection whose best ground truth is taken the next best", () => {
    const evaluator = new CocoEvaluator({ classNames: ["a"] });
    evaluator.addImage({
      id: 1,
      gt: { boxes: [0, 0, 10, 10, 2, 0, 12, 10], labels: [0, 0] },
      detections: { boxes: [0, 0, 10, 10, 0.5, 0, 10.5, 10], labels: [0, 0], scores: [0.9, 0.8] },
    });
    expect(f1Sweep(evaluator).best).toMatchObject({ precision: 1, recall: 1 });
  });

  it("is zero without ground truth", () => {
    expect(f1Sweep(new CocoEvaluator({ classNames: ["a"] })).best).toMatchObject({
      threshold: 0,
      precision: 0,
      recall: 0,
      f1: 0,
    });
  });
});
