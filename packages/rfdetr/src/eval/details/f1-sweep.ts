// Precision, recall and F1 at every confidence threshold, and the threshold with the best F1.
import type { CocoEvaluator } from "../coco/coco.js";
import { RECALL_POINTS } from "../coco/coco-parameters.js";
import { forEachClass, forEachImage, type OrderedTables, type RowRange } from "../coco/ordered-tables.js";
import type { IouType } from "../coco/overlaps.js";

/** Confidence thresholds 0.00, 0.01, … 1.00; a detection counts from score ≥ threshold on. */
const CONFIDENCE_THRESHOLDS = RECALL_POINTS;

const STEPS = CONFIDENCE_THRESHOLDS.length;
const MATCH_IOU = 0.5;

/** Precision, recall and F1 at every confidence threshold, `[101]` each. */
export interface ConfidenceCurve {
  precision: Float64Array;
  recall: Float64Array;
  f1: Float64Array;
}

/** The curve of a class. */
export interface ClassCurve extends ConfidenceCurve {
  /** The number of thresholds, from the lowest on, that a score reaches. Beyond, precision is 0 / 0. */
  reached: number;
}

/** Figures at one confidence threshold. */
export interface OperatingPoint {
  threshold: number;
  precision: number;
  recall: number;
  f1: number;
}

/** The curves of every class and the best threshold. */
export interface F1Sweep {
  thresholds: Float64Array;
  /** One curve per class; all zero for a class without ground truth. */
  classes: ClassCurve[];
  /** Means over the classes that have ground truth; all zero if there is none. */
  macro: ConfidenceCurve;
  /** The first threshold of highest macro F1: the confidence to use when no other is known. */
  best: OperatingPoint & { per_class: (OperatingPoint & { class_id: number; class_name: string })[] };
}

/**
 * Precision, recall and F1 against the confidence threshold at IoU 0.5, all areas, no limit on detections.
 *
 * Matching follows the Python package (`rfdetr.evaluation.matching` and `f1_sweep` of 1.11). In each image and
 * class, in descending order of scores, a detection takes the free ground truth that it overlaps most (of equal
 * overlaps the first). A detection that takes none but overlaps a crowd region by IoU ≥ 0.5 is not counted. Scores
 * are compared as float32. The package computes IoU in float32, here it is float64.
 */
export function f1Sweep(evaluator: CocoEvaluator, iouType: IouType = "boxes"): F1Sweep {
  const tables = evaluator.ordered(iouType);
  const classes: ClassCurve[] = [];
  const withTruth: ConfidenceCurve[] = [];
  const matcher = new GreedyMatcher(tables);
  forEachClass(tables, evaluator.classNames.length, (_, rows) => {
    const counts = { true: new Int32Array(STEPS), false: new Int32Array(STEPS), objects: 0 };
    forEachImage(tables, rows, (ofImage) => matcher.match(ofImage, counts));
    const curve = curveOf(counts);
    classes.push(curve);
    if (counts.objects > 0) withTruth.push(curve);
  });

  const macro = {
    precision: meanOf(withTruth, "precision"),
    recall: meanOf(withTruth, "recall"),
    f1: meanOf(withTruth, "f1"),
  };
  let step = 0;
  for (let t = 1; t < STEPS; t++) if (macro.f1[t] > macro.f1[step]) step = t;
  const at = (curve: ConfidenceCurve): OperatingPoint => ({
    threshold: CONFIDENCE_THRESHOLDS[step],
    precision: curve.precision[step],
    recall: curve.recall[step],
    f1: curve.f1[step],
  });
  return {
    thresholds: CONFIDENCE_THRESHOLDS,
    classes,
    macro,
    best: {
      ...at(macro),
      per_class: classes.map((curve, label) => ({
        class_id: evaluator.categoryIds[label],
        class_name: evaluator.classNames[label],
        ...at(curve),
      })),
    },
  };
}

/** What was counted of a class. */
interface Counts {
  /** `[101]`: right detections by the last threshold that their score reaches. */
  true: Int32Array;
  /** `[101]`: the same of wrong ones. */
  false: Int32Array;
  /** Ground truths, crowds not counted. */
  objects: number;
}

class GreedyMatcher {
  #taken = new Uint8Array(16);

  constructor(readonly tables: OrderedTables) {}

  /** Matches the detections of an image and class, and adds them to the counts. */
  match({ gStart, gEnd, dStart, dEnd }: RowRange, counts: Counts): void {
    const { truths, truthOrder, detections, detectionOrder, overlaps } = this.tables;
    if (this.#taken.length < gEnd - gStart) this.#taken = new Uint8Array((gEnd - gStart) * 2);
    this.#taken.fill(0, 0, gEnd - gStart);
    for (let d = dStart; d < dEnd; d++) {
      const row = detectionOrder[d];
      let best = -1;
      let match = -1;
      let inCrowd = false;
      for (let g = gStart; g < gEnd; g++) {
        const truth = truthOrder[g];
        const crowd = truths.crowd[truth] === 1;
        if (!crowd && this.#taken[g - gStart] === 1) continue;
        const iou = overlaps.iou(row, truth);
        if (crowd) inCrowd ||= iou >= MATCH_IOU;
        else if (iou > best) {
          best = iou;
          match = g - gStart;
        }
      }
      const step = lastStepBelow(Math.fround(detections.score[row]));
      if (best >= MATCH_IOU) {
        this.#taken[match] = 1;
        if (step >= 0) counts.true[step]++;
      } else if (!inCrowd && step >= 0) counts.false[step]++;
    }
    for (let g = gStart; g < gEnd; g++) counts.objects += 1 - truths.crowd[truthOrder[g]];
  }
}

/** Index of the largest threshold that `score` reaches, −1 for a negative score. */
function lastStepBelow(score: number): number {
  let step = Math.max(-1, Math.min(STEPS - 1, Math.floor(score * (STEPS - 1))));
  while (step + 1 < STEPS && CONFIDENCE_THRESHOLDS[step + 1] <= score) step++;
  while (step >= 0 && CONFIDENCE_THRESHOLDS[step] > score) step--;
  return step;
}

function curveOf(counts: Counts): ClassCurve {
  const curve = { ...emptyCurve(), reached: 0 };
  let tp = 0;
  let fp = 0;
  for (let t = STEPS - 1; t >= 0; t--) {
    tp += counts.true[t];
    fp += counts.false[t];
    if (curve.reached === 0 && tp + fp > 0) curve.reached = t + 1;
    const precision = tp + fp > 0 ? tp / (tp + fp) : 0;
    const recall = counts.objects > 0 ? tp / counts.objects : 0;
    curve.precision[t] = precision;
    curve.recall[t] = recall;
    curve.f1[t] = precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
  }
  return curve;
}

function meanOf(curves: readonly ConfidenceCurve[], key: keyof ConfidenceCurve): Float64Array {
  const mean = new Float64Array(STEPS);
  if (curves.length === 0) return mean;
  for (const curve of curves) for (let t = 0; t < STEPS; t++) mean[t] += curve[key][t];
  for (let t = 0; t < STEPS; t++) mean[t] /= curves.length;
  return mean;
}

const emptyCurve = (): ConfidenceCurve => ({
  precision: new Float64Array(STEPS),
  recall: new Float64Array(STEPS),
  f1: new Float64Array(STEPS),
});
