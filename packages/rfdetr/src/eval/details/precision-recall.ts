// Precision against recall.
import type { CocoEvaluator } from "../coco/coco.js";
import { IOU_50, RECALL_POINTS } from "../coco/coco-parameters.js";
import { averagePrecision } from "../coco/coco-summary.js";
import type { IouType } from "../coco/overlaps.js";

/** Interpolated precision at IoU 0.5 against recall. */
export interface PrecisionRecallCurves {
  /** `[101]` 0.00, 0.01, … 1.00. */
  recall: Float64Array;
  /** Classes with ground truth. */
  classes: {
    class_id: number;
    class_name: string;
    AP50: number | null;
    precision: Float64Array;
    score: Float64Array;
  }[];
  /** Mean over these classes, `[101]`; zero if there are none. */
  mean: Float64Array;
  /** Mean average precision at IoU 0.5, null if there are no classes with ground truth. */
  AP50: number | null;
}

/** The curves behind AP50: precision, and the score at which each recall is reached (0 if it is not reached). */
export function precisionRecallCurves(evaluator: CocoEvaluator, iouType: IouType = "boxes"): PrecisionRecallCurves {
  const { curves, instances } = evaluator.evaluate(iouType);
  const points = RECALL_POINTS.length;
  const labels = [...instances.keys()].filter((label) => curves.precision[curves.precisionAt(label, 0, IOU_50)] > -1);
  const classes = labels.map((label) => {
    const start = curves.precisionAt(label, 0, IOU_50);
    return {
      class_id: evaluator.categoryIds[label],
      class_name: evaluator.classNames[label],
      AP50: averagePrecision(curves, [label], { threshold: IOU_50 }),
      precision: curves.precision.slice(start, start + points),
      score: curves.score50.slice(label * points, (label + 1) * points),
    };
  });
  const mean = new Float64Array(points);
  for (const { precision } of classes) for (let r = 0; r < points; r++) mean[r] += precision[r] / classes.length;
  return { recall: RECALL_POINTS, classes, mean, AP50: averagePrecision(curves, labels, { threshold: IOU_50 }) };
}
