// What the evaluations of libtorch and of onnxruntime share: the data, the map of its classes, and what is wrong with a
// result. No libtorch.
import type { Split } from "../data/index.js";
import type { ScoredBoxes } from "../model/images/postprocess.js";
import { DataError, NumericsError } from "../support/errors.js";
import { agreeing, counted } from "../support/format.js";
import type { Shape } from "../support/shape.js";
import type { EvaluationBatch } from "./batch.js";
import { brightnessOf } from "./brightness.js";
import { classMap } from "./class-map.js";
import type { CocoEvaluator } from "./coco/coco.js";
import { compareMasks } from "./coco/compare-masks.js";
import type { EvaluatedImage } from "./coco/evaluated-image.js";
import { type EvaluationDataOptions, openEvaluationData } from "./evaluation-data.js";
import { finiteDetections, whyNotFinite } from "./finite-detections.js";
import { shownMasks } from "./shown-masks.js";

/** What is scored, and how. */
export interface ScoredSplitOptions extends EvaluationDataOptions {
  /** Dataset folder. */
  data: string;
  split: Split;
  /** Images in a batch. */
  batch: number;
  /** Detections per image and class that count; default 100, the stock COCO definition. */
  maxDets?: number;
  /** Called after each batch with the numbers of images done and in all. */
  progress?: (done: number, total: number) => void;
  /** Stops the evaluation between two batches, which is then rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** A split with the classes of the weights that are scored on it. */
export type ScoredSplit = Awaited<ReturnType<typeof openEvaluationData>> & {
  /** See `classMap`; undefined where weights and data have the same classes in the same order. */
  classes?: Int32Array;
};

/**
 * Opens a split for weights.
 * @param classNames those of the weights; null if nobody knows them: the data's are taken, in their order
 * @param size height and width of the images in pixels, or the side of square ones
 * @throws DataError if the split cannot be read, or has a class that the weights do not know
 */
export async function openScoredSplit(
  classNames: readonly string[] | null,
  size: Shape,
  options: ScoredSplitOptions,
): Promise<ScoredSplit> {
  const data = await openEvaluationData(options.data, options.split, size, options.batch, options);
  if (classNames === null) return data;
  const classes = classesOn(options.data, data.classNames, classNames);
  return classes === null ? data : { ...data, classes };
}

/**
 * See `classMap`; null where weights and data have the same classes in the same order.
 * @param path of the data
 * @throws DataError if the data has a class that the weights do not know
 */
export function classesOn(path: string, wanted: readonly string[], known: readonly string[]): Int32Array | null {
  const classes = classMap(known, wanted);
  if (classes === null)
    throw new DataError(
      `Expected weights that were trained on the classes of ${path} (${some(wanted)}) but theirs are ${some(known)}`,
    );
  return wanted.join("\n") === known.join("\n") ? null : classes;
}

/**
 * An image of a batch as an evaluator takes it, and how many detections were left out because they are not finite.
 * Where both sides have masks, these are compared here and not kept: the overlaps are what other processes are sent.
 */
export function scoredImage(
  batch: EvaluationBatch,
  i: number,
  detections: ScoredBoxes,
  change: (detections: ScoredBoxes) => ScoredBoxes,
): { image: EvaluatedImage; dropped: number } {
  const [height, width] = batch.origSizes[i];
  const { kept, dropped } = finiteDetections(detections);
  const { masks: truthMasks, ...gt } = batch.truths[i];
  const { masks, ...found } = change(kept);
  const id = batch.imageIds[i];
  const compared =
    truthMasks === undefined || masks === undefined
      ? null
      : compareMasks({ id, gt: { ...gt, masks: truthMasks }, detections: { ...found, masks } });
  const image = {
    id,
    file: batch.files?.[i],
    width,
    height,
    brightness: brightnessOf(batch, i),
    dataset: batch.datasets?.[i],
    gt,
    detections: found,
    ...(compared === null ? {} : { compared }),
    ...(truthMasks &&
      masks && { shownMasks: shownMasks({ labels: gt.labels, masks: truthMasks }, { ...found, masks }) }),
  };
  return { image, dropped };
}

/** Adds an image of a batch to an evaluator, which counts the detections that are left out. */
export function scoreImage(
  evaluator: CocoEvaluator,
  batch: EvaluationBatch,
  i: number,
  detections: ScoredBoxes,
  change: (detections: ScoredBoxes) => ScoredBoxes,
): void {
  const { image, dropped } = scoredImage(batch, i, detections, change);
  evaluator.nonFinite += dropped;
  evaluator.addImage(image);
}

/**
 * @param numberFormat that linear layers were emulated in; null for none
 * @throws DataError if nothing was scored; NumericsError if some detections were not finite
 */
export function checkScored(
  evaluator: CocoEvaluator,
  weights: string,
  precision: string,
  { data, split }: ScoredSplitOptions,
  numberFormat: string | null = null,
): void {
  if (evaluator.images === 0)
    throw new DataError(`Expected images that decode in the ${split} split of ${data} but found none`);
  if (evaluator.nonFinite === 0) return;
  const found = `${counted(evaluator.nonFinite, "detection")} of ${weights} ${agreeing(evaluator.nonFinite, "is", "are")} not finite`;
  const { cause, hint } = whyNotFinite(precision, numberFormat);
  throw new NumericsError(`${found}: ${cause}`, hint === undefined ? {} : { hint });
}

function some(names: readonly string[]): string {
  return names.length <= 6 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}
