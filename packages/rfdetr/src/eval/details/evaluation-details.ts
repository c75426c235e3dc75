// All that is known of an evaluation, as `evaluation.json` has it: for the report, the live page and other programs.
import type { CocoRuns } from "../../masks/coco-runs.js";
import { thresholdText } from "../../support/format.js";
import type { ClassSummary, CocoFigures, CocoSummary } from "../coco/coco-summary.js";
import type { ErrorCost, ErrorKind, ObjectSize } from "../error-analysis/error-kinds.js";

/** The version that is written. A reader refuses files of another one. */
export const detailsVersion = 1;

/**
 * An evaluation with what explains it. The figures of {@link CocoSummary} stand at the top, with what explains them;
 * whatever has a value for each class is indexed by the class's place in `per_class`, here called its label. All of
 * this is of boxes; `masks` has the same by the IoU of masks. The objects of `images_shown` are judged by their masks
 * where masks were evaluated.
 *
 * Figures are fractions of 1, and null where nothing is defined (no ground truth). Boxes are left, top, right, bottom
 * in pixels of the original image, rounded to 0.1; scores and curves are rounded to three or four decimals. What is
 * rounded is for pictures; AP and what errors cost are not rounded.
 */
export interface EvaluationDetails extends Omit<CocoSummary, "per_class" | "masks">, Explanation {
  /** {@link detailsVersion} of the program that wrote the file. */
  version: typeof detailsVersion;
  origin: EvaluationOrigin;
  /** The same figures with the IoU of masks, and what explains them; only where the objects have masks. */
  masks?: ExplainedFigures;
  /** The worst images of each kind of error, then some ordinary ones. */
  images_shown: ImageDetails[];
}

/** The figures of COCO by boxes or by masks, and what explains them. */
export interface ExplainedFigures extends Omit<CocoFigures, "per_class">, Explanation {}

/** What explains the figures of an evaluation, all by the IoU of boxes or all by that of masks. */
export interface Explanation {
  per_class: ClassDetails[];
  /**
   * The first threshold of highest F1, averaged over the classes with ground truth: the one to use for all. All zero
   * where no object is found at any.
   */
  best_threshold: OperatingFigures;
  /** AP of small, medium and large objects, in this order. */
  sizes: SizeDetails[];
  /** The figures of each of several datasets that were evaluated together; absent for a single one. */
  datasets?: DatasetFigures[];
  /** AP by properties of images; those that are equal in all images, or not known, are left out. */
  properties: PropertyDetails[];
  errors: ErrorDetails;
  curves: CurveDetails;
  confusion: ConfusionDetails;
}

/**
 * The figures that tell how good a detector is, with what explains them: those of the masks where it gives masks.
 * @example
 * import { mainDetails, readDetails } from "rfdetr/eval";
 * const { best_threshold, errors } = mainDetails(readDetails("runs/birds/evaluation.json"));
 * console.log(best_threshold.threshold, errors.costliest);
 */
export const mainDetails = <Details extends { masks?: ExplainedFigures }>(
  details: Details,
): Details | ExplainedFigures => details.masks ?? details;

/** Which detections a confusion matrix counts, and why: `scores from 0.42 on (highest F1)`. */
export function confusionScores(
  { confusion: { confidence }, best_threshold: best }: Pick<Explanation, "confusion" | "best_threshold">,
  split: string | null = null,
): string {
  if (best.f1 > 0 && confidence === best.threshold) return `scores from ${thresholdText(confidence)} on (highest F1)`;
  const why =
    split === "test"
      ? " (test chooses no threshold)"
      : best.f1 === 0
        ? " (no threshold helps)"
        : best.threshold === 0
          ? " (the best threshold is 0)"
          : "";
  return `scores above ${thresholdText(confidence)}${why}`;
}

/** What was evaluated on what; null for what does not apply or is not known. */
export interface EvaluationOrigin {
  /** `train`, `valid` or `test`. */
  split: string | null;
  /** The dataset, or the annotation file, as it was given. */
  data: string | null;
  /** The weights file as it was given; null during a run. */
  weights: string | null;
  /** The results file that was evaluated instead of weights. */
  results: string | null;
  /** `32-true`, `bf16-mixed`, … */
  precision: string | null;
  /** The epoch that has just ended, counted from 1, where a run evaluated. */
  epoch: number | null;
}

/** Figures of detections with a score of at least `threshold`, at IoU 0.5. */
export interface OperatingFigures {
  threshold: number;
  precision: number;
  recall: number;
  f1: number;
}

/** The figures of one class. */
export interface ClassDetails extends ClassSummary {
  /** The first threshold of this class's highest F1; null where no object is found at any. */
  best: OperatingFigures | null;
  /**
   * Errors of this class, and the AP50 that it loses. A `class` error is counted where the detection names the class;
   * it costs both the class that it names and that of the object.
   */
  errors: Record<ErrorKind, ErrorCost>;
}

/** The figures of the images of one dataset of several, as if it had been evaluated alone. */
export interface DatasetFigures {
  path: string;
  images: number;
  /** Ground truths, crowds not counted. */
  instances: number;
  AP: number | null;
  AP50: number | null;
}

/** The figures of objects of one size. */
export interface SizeDetails {
  size: ObjectSize;
  /** Ground truths of this size, crowds not counted. */
  instances: number;
  AP: number | null;
  AP50: number | null;
  AR: number | null;
}

/**
 * A property of images; how each is computed stands with `imageProperties`.
 *
 * - `image_size`: √(width · height) in pixels
 * - `aspect`: the longer side over the shorter
 * - `objects`: ground truths in the image, crowds not counted
 * - `crowding`: how much the boxes of the objects of an image overlap each other, 0 to 1
 * - `brightness`: mean brightness, 0 (black) to 1 (white)
 */
export type ImageProperty = "image_size" | "aspect" | "objects" | "crowding" | "brightness";

/** AP of the images in groups by one property: two or three groups of about as many images, the lowest values first. */
export interface PropertyDetails {
  property: ImageProperty;
  groups: {
    /** Lowest and highest value in the group. */
    from: number;
    to: number;
    images: number;
    /** Ground truths, crowds not counted. */
    instances: number;
    AP: number | null;
    AP50: number | null;
  }[];
}

/** The error analysis. */
export interface ErrorDetails {
  /** IoU from which a detection is right: 0.5. */
  iou: number;
  /** IoU up to which a detection lies on the background: 0.1. */
  background_iou: number;
  /** Detections of an image that count, the best of all classes together. */
  max_detections: number;
  /** AP50 under that limit, from which the cost of errors is counted; null without ground truth. */
  AP50: number | null;
  kinds: Record<ErrorKind, ErrorCost & { sizes: Record<ObjectSize, ErrorCost> }>;
  /** All wrong detections; `lost` is what perfect precision at the recall reached would gain. */
  false_positives: ErrorCost;
  /** All objects not found; `lost` is what perfect recall without further wrong detections would gain. */
  false_negatives: ErrorCost;
  /** What costs most: a kind, narrowed to one size of object where that makes most of it; null without any cost. */
  costliest: { kind: ErrorKind; size: ObjectSize | null; lost: number } | null;
}

/** Curves at IoU 0.5, sampled at 101 points. */
export interface CurveDetails {
  /** 0, 0.01, … 1: the recall, or the confidence threshold, that the values belong to. */
  points: number[];
  /** Means over the classes with ground truth. */
  mean: {
    /** Interpolated precision by recall. */
    precision_by_recall: number[];
    /** By confidence threshold. */
    precision: number[];
    recall: number[];
    f1: number[];
  };
  /** Those of the classes with ground truth. The F1 of a threshold is 2 · precision · recall / (precision + recall). */
  classes: {
    label: number;
    precision_by_recall: number[];
    precision: number[];
    recall: number[];
    /**
     * The number of thresholds, from the lowest on, that the score of a detection reaches: beyond, precision is not
     * defined and stands as 0. Missing in files of earlier versions of the program.
     */
    reached?: number;
  }[];
}

/** Which class is taken for which. The label one above the last class is the background. */
export interface ConfusionDetails {
  /**
   * Detections count from this score on where it is that of `best_threshold`, and above it elsewhere: 0.25 as in
   * Ultralytics, on the test split, where no threshold is chosen, and where none helps.
   */
  confidence: number;
  /** Boxes, or masks, count as the same object above this IoU. */
  iou: number;
  /** What is not zero: predicted label, true label, count. */
  cells: [predicted: number, truth: number, count: number][];
}

/** An image with its ground truth and detections. */
export interface ImageDetails {
  id: number | string;
  /** Path of the image, as the dataset has it; null if it is not known. */
  file: string | null;
  width: number | null;
  height: number | null;
  /** The kinds of error that this image is among the worst for, with its rank there from 1; empty if ordinary. */
  worst: { kind: ErrorKind; rank: number }[];
  truths: TruthDetails[];
  /** The best first: those that have a score of at least 0.05 or make the image one of the worst, 100 at most. */
  detections: DetectionDetails[];
}

/** `[left, top, right, bottom]` in pixels. */
export type CornerBox = [number, number, number, number];

/** A ground truth. */
export interface TruthDetails {
  box: CornerBox;
  label: number;
  /**
   * `found` by a detection of its class with IoU ≥ 0.5, at any score; `missed`: see `errorKinds`; `unmatched`: neither.
   */
  state: "found" | "missed" | "unmatched" | "crowd";
  /** Its mask for pictures, at most 480 pixels a side, where masks were evaluated. */
  mask?: CocoRuns;
}

/** A detection. */
export interface DetectionDetails {
  box: CornerBox;
  label: number;
  score: number;
  /** `correct`; the kind of error; or `ignored`: in a crowd region, or beyond the detections that count. */
  state: "correct" | "ignored" | Exclude<ErrorKind, "missed">;
  /** Place in `truths` of the object it found, should have found, or found again; null for the background. */
  truth: number | null;
  /** As that of a ground truth; only the best 20 detections of an image have one. */
  mask?: CocoRuns;
}
