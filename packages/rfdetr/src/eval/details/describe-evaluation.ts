// Everything that an evaluation tells, from a filled evaluator.

import type { CocoEvaluator } from "../coco/coco.js";
import { AREA_NAMES, IOU_50 } from "../coco/coco-parameters.js";
import { averagePrecision, type CocoSummary } from "../coco/coco-summary.js";
import { BACKGROUND_IOU, MATCH_IOU, MAX_DETECTIONS_OF_IMAGE } from "../error-analysis/diagnose.js";
import { type ErrorAnalysis, errorAnalysis } from "../error-analysis/error-analysis.js";
import { type ErrorKind, errorKinds, objectSizes } from "../error-analysis/error-kinds.js";
import { sizeOf } from "../error-analysis/ranked-detections.js";
import { confusionMatrix } from "./confusion-matrix.js";
import {
  type ConfusionDetails,
  type CurveDetails,
  type DatasetFigures,
  detailsVersion,
  type ErrorDetails,
  type EvaluationDetails,
  type EvaluationOrigin,
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
 * Describes an evaluation: figures, curves, errors and what they cost, AP by size and by properties of images, and some
 * images with their boxes.
 * @example
 * import { loadFiles } from "rfdetr";
 * import { evaluationDetails } from "rfdetr/eval";
 * const { errors, images_shown } = evaluationDetails(loadFiles("annotations.json", "results.json"));
 * console.log(errors.costliest, images_shown.length);
 */
export function evaluationDetails(evaluator: CocoEvaluator, origin: Partial<EvaluationOrigin> = {}): EvaluationDetails {
  const summary = evaluator.summarize();
  const { per_class: classes, ...figures } = summary;
  const analysis = errorAnalysis(evaluator);
  const sweep = f1Sweep(evaluator);
  const { threshold, precision, recall, f1 } = sweep.best;
  return {
    version: detailsVersion,
    origin: { split: null, data: null, weights: null, results: null, precision: null, epoch: null, ...origin },
    ...figures,
    per_class: classes.map((each, label) => ({
      ...each,
      best: bestOf(sweep, sweep.classes[label]),
      errors: analysis.classes[label],
    })),
    best_threshold: { threshold, precision, recall, f1 },
    sizes: sizesOf(evaluator, summary),
    ...figuresByDataset(evaluator),
    properties: figuresByProperty(evaluator),
    errors: errorsOf(analysis),
    curves: curvesOf(evaluator, sweep),
    confusion: confusionOf(evaluator),
    images_shown: shownImages(evaluator, analysis.diagnosis),
  };
}

/** The figures of each dataset, where there are several. */
function figuresByDataset(evaluator: CocoEvaluator): { datasets?: DatasetFigures[] } {
  const of = Array.from({ length: evaluator.images }, (_, image) => evaluator.image(image).dataset);
  const paths = [...new Set(of)].filter((path) => path !== undefined);
  if (paths.length === 0) return {};
  const score = groupScorer(evaluator);
  return {
    datasets: paths.map((path) => {
      const { instances, AP, AP50 } = score((image) => of[image] === path);
      return { path, images: of.filter((each) => each === path).length, instances, AP, AP50 };
    }),
  };
}

/** The first threshold of highest F1; null where F1 is zero at all. */
function bestOf({ thresholds }: F1Sweep, { precision, recall, f1 }: ConfidenceCurve): OperatingFigures | null {
  const at = f1.indexOf(Math.max(...f1));
  return f1[at] === 0 ? null : { threshold: thresholds[at], precision: precision[at], recall: recall[at], f1: f1[at] };
}

function sizesOf(evaluator: CocoEvaluator, summary: CocoSummary): SizeDetails[] {
  const { curves } = evaluator.evaluate();
  const { truths } = evaluator.ordered();
  const labels = evaluator.classNames.map((_, label) => label);
  return objectSizes.map((size) => {
    let instances = 0;
    for (let row = 0; row < truths.length; row++)
      if (truths.crowd[row] === 0 && sizeOf(truths.area[row]) === size) instances++;
    return {
      size,
      instances,
      AP: summary[`AP_${size}`],
      AP50: averagePrecision(curves, labels, { area: AREA_NAMES.indexOf(size), threshold: IOU_50 }),
      AR: summary[`AR_${size}`],
    };
  });
}

function errorsOf({ AP50, kinds, falsePositives, falseNegatives }: ErrorAnalysis): ErrorDetails {
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

function curvesOf(evaluator: CocoEvaluator, { thresholds, classes, macro }: F1Sweep): CurveDetails {
  const byRecall = precisionRecallCurves(evaluator);
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

function confusionOf(evaluator: CocoEvaluator): ConfusionDetails {
  const { counts, size, confidence, iou } = confusionMatrix(evaluator);
  const cells: ConfusionDetails["cells"] = [];
  counts.forEach((count, at) => {
    if (count > 0) cells.push([Math.floor(at / size), at % size, count]);
  });
  return { confidence, iou, cells };
}
