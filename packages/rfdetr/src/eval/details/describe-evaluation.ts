// Everything that an evaluation tells, from a filled evaluator.

import { sizeOf } from "../../support/object-sizes.js";
import type { CocoEvaluator } from "../coco/coco.js";
import { AREA_NAMES, IOU_50 } from "../coco/coco-parameters.js";
import { averagePrecision, type CocoFigures } from "../coco/coco-summary.js";
import type { IouType } from "../coco/overlaps.js";
import { BACKGROUND_IOU, type Diagnosis, MATCH_IOU, MAX_DETECTIONS_OF_IMAGE } from "../error-analysis/diagnose.js";
import { type ErrorAnalysis, errorAnalysis } from "../error-analysis/error-analysis.js";
import { type ErrorKind, errorKinds, objectSizes } from "../error-analysis/error-kinds.js";
import { confusionMatrix } from "./confusion-matrix.js";
import {
  type ConfusionDetails,
  type CurveDetails,
  type DatasetFigures,
  detailsVersion,
  type ErrorDetails,
  type EvaluationDetails,
  type EvaluationOrigin,
  type Explanation,
  type OperatingFigures,
  type SizeDetails,
} from "./evaluation-details.js";
import { type ConfidenceCurve, type F1Sweep, f1Sweep } from "./f1-sweep.js";
import { groupScorer } from "./group-figures.js";
import { figuresByProperty } from "./image-properties.js";
import { precisionRecallCurves } from "./precision-recall.js";
import { shownImages } from "./shown-images.js";

/** A size of object stands for its kind of error where it alone costs this share of what the kind costs. */
const MOST_OF_A_KIND = 2 / 3;

/**
 * Describes an evaluation: figures, curves, errors and what they cost, AP by size and by properties of images, all of
 * boxes and, where the objects have masks, of masks too; and some images with their boxes and masks.
 * @example
 * import { loadFiles } from "rfdetr";
 * import { evaluationDetails } from "rfdetr/eval";
 * const { errors, images_shown } = evaluationDetails(loadFiles("annotations.json", "results.json"));
 * console.log(errors.costliest, images_shown.length);
 */
export function evaluationDetails(evaluator: CocoEvaluator, origin: Partial<EvaluationOrigin> = {}): EvaluationDetails {
  const { masks, ...boxes } = evaluator.summarize();
  // Thresholds are chosen on valid: one chosen on test would make the figures of test too good.
  const chooses = origin.split !== "test";
  const ofBoxes = explain(evaluator, boxes, "boxes", chooses);
  const ofMasks = masks === undefined ? null : explain(evaluator, masks, "masks", chooses);
  return {
    version: detailsVersion,
    origin: { split: null, data: null, weights: null, results: null, precision: null, epoch: null, ...origin },
    ...boxes,
    ...ofBoxes.explanation,
    ...(masks !== undefined && ofMasks !== null ? { masks: { ...masks, ...ofMasks.explanation } } : {}),
    images_shown: shownImages(evaluator, (ofMasks ?? ofBoxes).diagnosis),
  };
}

function explain(
  evaluator: CocoEvaluator,
  figures: CocoFigures,
  iouType: IouType,
  chooses: boolean,
): { explanation: Explanation; diagnosis: Diagnosis } {
  const { diagnosis, ...analysis } = errorAnalysis(evaluator, iouType);
  const sweep = f1Sweep(evaluator, iouType);
  const { precision, recall, f1 } = sweep.best;
  const threshold = hundredths(sweep.best.threshold);
  return {
    explanation: {
      per_class: figures.per_class.map((each, label) => ({
        ...each,
        best: bestOf(sweep, sweep.classes[label]),
        errors: analysis.classes[label],
      })),
      best_threshold: { threshold, precision, recall, f1 },
      sizes: sizesOf(evaluator, figures, iouType),
      ...figuresByDataset(evaluator, iouType),
      properties: figuresByProperty(evaluator, iouType),
      errors: errorsOf(analysis),
      curves: curvesOf(evaluator, sweep, iouType),
      confusion: confusionOf(evaluator, iouType, chooses && f1 > 0 && threshold > 0 ? { threshold } : {}),
    },
    diagnosis,
  };
}

/** The figures of each dataset, where there are several. */
function figuresByDataset(evaluator: CocoEvaluator, iouType: IouType): { datasets?: DatasetFigures[] } {
  const of = Array.from({ length: evaluator.images }, (_, image) => evaluator.image(image).dataset);
  const paths = [...new Set(of)].filter((path) => path !== undefined);
  if (paths.length === 0) return {};
  const score = groupScorer(evaluator, iouType);
  return {
    datasets: paths.map((path) => {
      const { instances, AP, AP50 } = score((image) => of[image] === path);
      return { path, images: of.filter((each) => each === path).length, instances, AP, AP50 };
    }),
  };
}

/** A threshold as people write it: 0.35 for 0.35000000000000003 of numpy's steps. No float32 score lies between. */
const hundredths = (threshold: number): number => Number(threshold.toFixed(2));

/** The first threshold of highest F1; null where F1 is zero at all. */
function bestOf({ thresholds }: F1Sweep, { precision, recall, f1 }: ConfidenceCurve): OperatingFigures | null {
  const at = f1.indexOf(Math.max(...f1));
  const figures = { precision: precision[at], recall: recall[at], f1: f1[at] };
  return f1[at] === 0 ? null : { threshold: hundredths(thresholds[at]), ...figures };
}

function sizesOf(evaluator: CocoEvaluator, figures: CocoFigures, iouType: IouType): SizeDetails[] {
  const { curves } = evaluator.evaluate(iouType);
  const { truths, overlaps } = evaluator.ordered(iouType);
  const labels = evaluator.classNames.map((_, label) => label);
  return objectSizes.map((size) => {
    let instances = 0;
    for (let row = 0; row < truths.length; row++)
      if (truths.crowd[row] === 0 && sizeOf(overlaps.truthArea[row]) === size) instances++;
    return {
      size,
      instances,
      AP: figures[`AP_${size}`],
      AP50: averagePrecision(curves, labels, { area: AREA_NAMES.indexOf(size), threshold: IOU_50 }),
      AR: figures[`AR_${size}`],
    };
  });
}

function errorsOf({ AP50, kinds, falsePositives, falseNegatives }: Omit<ErrorAnalysis, "diagnosis">): ErrorDetails {
  return {
    iou: MATCH_IOU,
    background_iou: BACKGROUND_IOU,
    max_detections: MAX_DETECTIONS_OF_IMAGE,
    AP50,
    kinds,
    false_positives: falsePositives,
    false_negatives: falseNegatives,
    costliest: costliest(kinds),
  };
}

/** The kind that costs most, of equal ones the first. */
function costliest(kinds: ErrorAnalysis["kinds"]): ErrorDetails["costliest"] {
  const kind = errorKinds.reduce<ErrorKind>(
    (most, each) => (kinds[each].lost > kinds[most].lost ? each : most),
    "class",
  );
  const { lost, sizes, count } = kinds[kind];
  if (!(lost > 0)) return null;
  // Where all such errors are of one size, naming it would say nothing.
  const size = objectSizes.find((each) => sizes[each].lost >= MOST_OF_A_KIND * lost && sizes[each].count < count);
  return size === undefined ? { kind, size: null, lost } : { kind, size, lost: sizes[size].lost };
}

function curvesOf(evaluator: CocoEvaluator, { thresholds, classes, macro }: F1Sweep, iouType: IouType): CurveDetails {
  const byRecall = precisionRecallCurves(evaluator, iouType);
  const labels = new Map(evaluator.categoryIds.map((id, label) => [id, label]));
  const short = (values: Float64Array): number[] => Array.from(values, (value) => Math.round(value * 1e3) / 1e3);
  return {
    points: Array.from(thresholds, (_, i) => i / (thresholds.length - 1)),
    mean: {
      precision_by_recall: short(byRecall.mean),
      precision: short(macro.precision),
      recall: short(macro.recall),
      f1: short(macro.f1),
    },
    classes: byRecall.classes.map(({ class_id, precision }) => {
      const label = labels.get(class_id) as number;
      return {
        label,
        precision_by_recall: short(precision),
        precision: short(classes[label].precision),
        recall: short(classes[label].recall),
        reached: classes[label].reached,
      };
    }),
  };
}

/** @param chosen the threshold to use, where there is one */
function confusionOf(evaluator: CocoEvaluator, iouType: IouType, chosen: { threshold?: number }): ConfusionDetails {
  const { counts, size, confidence, iou } = confusionMatrix(evaluator, { iouType, ...chosen });
  const cells: ConfusionDetails["cells"] = [];
  counts.forEach((count, at) => {
    if (count > 0) cells.push([Math.floor(at / size), at % size, count]);
  });
  return { confidence, iou, cells };
}
