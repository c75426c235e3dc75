// COCO figures of a model on a split.

import type { Autocast } from "@rfdetr/amp";
import { type DType, noGrad, scope } from "@rfdetr/torch";
import { inFloat32, type Outputs, type Prediction } from "../model/outputs.js";
import { postprocess, type ScoredBoxes, toArrays } from "../model/postprocess.js";
import { imagesToTensor, normalise_ } from "../model/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { EvaluationBatch } from "./batch.js";
import { relabel } from "./class-map.js";
import { CocoEvaluator } from "./coco/coco.js";
import { scoreImage } from "./scored-split.js";

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
  /** Called after each batch with the number of images done so far; the evaluation stops if it returns false. */
  progress?: (done: number) => boolean | undefined;
}

/**
 * Raw outputs of a batch: images normalised, the model under its autocast. Call it inside a scope.
 * @param dtype of the images; a model whose weights are float16 takes float16
 */
export function outputsOf(
  batch: EvaluationBatch,
  { model, autocast, device }: EvaluatedModel,
  dtype: DType = "float32",
): Outputs {
  const { images, imageIds, height, width } = batch;
  const normalised = normalise_(imagesToTensor(images, imageIds.length, height, width, device));
  const input = dtype === "float32" ? normalised : normalised.to(dtype);
  return autocast.run(() => model.call(input));
}

/**
 * Adds the images of a batch to an evaluator, with the `numSelect` best detections of each. Call it inside a scope.
 * Detections that are not finite are left out, and the evaluator counts them.
 * @param outputs of the model for the batch, in float32
 * @param change applied to the detections of an image before they are scored
 * @returns the detections of each image, before `change`
 */
export function scoreBatch(
  evaluator: CocoEvaluator,
  batch: EvaluationBatch,
  outputs: Prediction,
  numSelect: number,
  change: (detections: ScoredBoxes) => ScoredBoxes = (found) => found,
): ScoredBoxes[] {
  return postprocess(outputs, batch.origSizes, numSelect).map((scored, i) => {
    const detections = toArrays(scored);
    scoreImage(evaluator, batch, i, detections, change);
    return detections;
  });
}

/**
 * Runs a model over a split under its training autocast, with logits raised to float32 before the sigmoid, and scores
 * it.
 *
 * Ground truth is the annotation file at original size. The Python package scores against the transformed training
 * targets scaled back (clipped and rounded by the resize). Under autocast it reads scores in low precision, where
 * ties change the ranking.
 * @returns the filled evaluator, or null if `progress` stopped the evaluation
 */
export async function evaluate(options: EvaluationOptions): Promise<CocoEvaluator | null> {
  const { model, autocast, classNames, classes, maxDets } = options;
  const evaluator = new CocoEvaluator({ classNames, maxDets: [...new Set([1, 10, maxDets])] });
  const change = (found: ScoredBoxes): ScoredBoxes => (classes === undefined ? found : relabel(found, classes));
  const training = model.training;
  model.eval();
  try {
    for await (const batch of options.batches) {
      noGrad(() =>
        scope(() => {
          const outputs = inFloat32(outputsOf(batch, options));
          scoreBatch(evaluator, batch, outputs, model.config.numSelect, change);
        }),
      );
      if (options.progress?.(evaluator.images) === false) return null;
    }
  } finally {
    autocast.clearCache();
    model.train(training);
  }
  return evaluator;
}
