// COCO figures of a model on a split.

import type { Autocast } from "@rfdetr/amp";
import { type DType, noGrad, scope } from "@rfdetr/torch";
import { postprocess, type ScoredBoxes, toArrays } from "../model/images/postprocess.js";
import { imagesToTensor, normalise_ } from "../model/images/preprocess.js";
import { inFloat32, type Outputs, type Prediction } from "../model/outputs.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { EvaluationBatch } from "./batch.js";
import { relabel } from "./class-map.js";
import { CocoEvaluator } from "./coco/coco.js";
import type { EvaluatedImage } from "./coco/evaluated-image.js";
import { scoredImage } from "./scored-split.js";
import type { LossPart, ValidationLoss } from "./validation-loss.js";

/** A model and how it computes. */
export interface EvaluatedModel {
  model: RFDETRModel;
  autocast: Autocast;
  device: string;
}

/** A model with the data it is evaluated on. */
export interface EvaluationOptions extends EvaluatedModel {
  /** Class names of the data. */
  classNames: readonly string[];
  /** If the weights know other classes, or the same ones in another order: see `classMap`. */
  classes?: Int32Array;
  batches: AsyncIterable<EvaluationBatch>;
  /** Detections per image and class that count; figures are reported at 1, 10 and this number. */
  maxDets: number;
  /** Adds up the loss of the split, if it is given. */
  loss?: ValidationLoss;
  /** Called after each batch with the number of images done so far; the evaluation stops if it returns false. */
  progress?: (done: number) => boolean | undefined;
}

/**
 * Raw outputs of a batch: images normalised, the model under its autocast. Call it inside a scope.
 * @param dtype of the images; a model whose weights are float16 takes float16
 * @param allMasks whether the predictions that only a loss uses get masks too
 */
export function outputsOf(
  batch: EvaluationBatch,
  { model, autocast, device }: EvaluatedModel,
  dtype: DType = "float32",
  allMasks = false,
): Outputs {
  const { images, imageIds, height, width } = batch;
  const normalised = normalise_(imagesToTensor(images, imageIds.length, height, width, device));
  const input = dtype === "float32" ? normalised : normalised.to(dtype);
  return autocast.run(() => model.call(input, allMasks));
}

/** The images of a batch, as an evaluator takes them. */
export interface ScoredBatch {
  images: EvaluatedImage[];
  /** Detections that were left out because they are not finite. */
  nonFinite: number;
  /** The detections of each image, before they were changed. */
  found: ScoredBoxes[];
  /** What the batch adds to the loss; null where it is not computed. */
  loss: LossPart | null;
}

/**
 * The images of a batch with the `numSelect` best detections of each. Call it inside a scope.
 * @param outputs of the model for the batch, in float32
 * @param change applied to the detections of an image before they are scored
 */
function scoredImages(
  batch: EvaluationBatch,
  outputs: Prediction,
  numSelect: number,
  change: (detections: ScoredBoxes) => ScoredBoxes,
): ScoredBatch {
  const scored: ScoredBatch = { images: [], nonFinite: 0, found: [], loss: null };
  for (const [i, boxes] of postprocess(outputs, batch.origSizes, numSelect).entries()) {
    const detections = toArrays(boxes);
    const { image, dropped } = scoredImage(batch, i, detections, change);
    scored.nonFinite += dropped;
    scored.found.push(detections);
    scored.images.push(image);
  }
  return scored;
}

/** Adds what was scored to an evaluator. */
export function addScored(
  evaluator: CocoEvaluator,
  { images, nonFinite }: Pick<ScoredBatch, "images" | "nonFinite">,
): void {
  evaluator.nonFinite += nonFinite;
  for (const image of images) evaluator.addImage(image);
}

/**
 * Adds the images of a batch to an evaluator, with the `numSelect` best detections of each. Call it inside a scope.
 * Detections that are not finite are left out, and the evaluator counts them.
 * @param outputs of the model for the batch, in float32
 * @param change applied to the detections of an image before they are scored
 * @returns the detections of each image, before they were changed
 */
export function scoreBatch(
  evaluator: CocoEvaluator,
  batch: EvaluationBatch,
  outputs: Prediction,
  numSelect: number,
  change: (detections: ScoredBoxes) => ScoredBoxes = (found) => found,
): ScoredBoxes[] {
  const scored = scoredImages(batch, outputs, numSelect, change);
  addScored(evaluator, scored);
  return scored.found;
}

/** The evaluator of a model's detections. */
export function evaluatorOf({ classNames, maxDets }: EvaluationOptions): CocoEvaluator {
  return new CocoEvaluator({ classNames, maxDets: [...new Set([1, 10, maxDets])] });
}

/**
 * Runs a model over batches under its training autocast, with logits raised to float32 before the sigmoid.
 *
 * Ground truth is the annotation file at original size. The Python package scores against the transformed training
 * targets scaled back (clipped and rounded by the resize). Under autocast it reads scores in low precision, where
 * ties change the ranking.
 * @returns what each batch gives, with its number; the model is in evaluation mode meanwhile
 */
export async function* scoredBatches(
  options: EvaluationOptions,
): AsyncGenerator<ScoredBatch & { number: number | undefined }> {
  const { model, autocast, classes, loss } = options;
  const change = (found: ScoredBoxes): ScoredBoxes => (classes === undefined ? found : relabel(found, classes));
  const training = model.training;
  model.eval();
  try {
    for await (const batch of options.batches) {
      const scored = noGrad(() =>
        scope(() => {
          const outputs = inFloat32(outputsOf(batch, options, "float32", loss !== undefined));
          const scored = scoredImages(batch, outputs, model.config.numSelect, change);
          return { ...scored, loss: loss?.of(batch, outputs) ?? null };
        }),
      );
      yield { ...scored, number: batch.number };
    }
  } finally {
    autocast.clearCache();
    model.train(training);
  }
}

/**
 * Runs a model over a split and scores it, see {@link scoredBatches}.
 * @returns the filled evaluator, or null if `progress` stopped the evaluation
 */
export async function evaluate(options: EvaluationOptions): Promise<CocoEvaluator | null> {
  const evaluator = evaluatorOf(options);
  for await (const scored of scoredBatches(options)) {
    addScored(evaluator, scored);
    if (scored.loss !== null) options.loss?.add(scored.loss);
    if (options.progress?.(evaluator.images) === false) return null;
  }
  return evaluator;
}
