// COCO figures of a model on a split.

import type { Autocast } from "@rfdetr/amp";
import { noGrad, scope } from "@rfdetr/torch";
import { inFloat32 } from "../model/outputs.js";
import { postprocess } from "../model/postprocess.js";
import { imagesToTensor, normalise_ } from "../model/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { EvaluationBatch } from "./batch.js";
import { relabel } from "./class-map.js";
import { CocoEvaluator } from "./coco/coco.js";

export interface EvaluationOptions {
  model: RFDETRModel;
  autocast: Autocast;
  device: string;
  /** Of the data. */
  classNames: readonly string[];
  /** Where the weights know other classes, or the same in another order: the data's class of each of theirs, or −1. */
  classes?: Int32Array;
  batches: AsyncIterable<EvaluationBatch>;
  numSelect: number;
  maxDets: number;
  /** Called after each batch with the images done so far; returning false gives up. */
  progress?: (done: number) => boolean | undefined;
}

/**
 * Runs a model over a split under its training autocast, with logits raised to float32 before the sigmoid, and scores it.
 *
 * Ground truth is the annotation file at original size. The Python package scores against the transformed training targets scaled back (clipped and
 * rounded by the resize), and reads scores in half precision under autocast, where ties change the ranking.
 * @returns the filled evaluator, or null when `progress` gave up.
 */
export async function evaluate(options: EvaluationOptions): Promise<CocoEvaluator | null> {
  const { model, autocast, device, classNames, numSelect, maxDets } = options;
  const evaluator = new CocoEvaluator({ classNames, maxDets: [...new Set([1, 10, maxDets])] });
  const training = model.training;
  model.eval();
  try {
    for await (const batch of options.batches) {
      noGrad(() =>
        scope(() => {
          const images = normalise_(imagesToTensor(batch.images, batch.imageIds.length, batch.height, batch.width, device));
          const outputs = inFloat32(autocast.run(() => model.call(images)));
          for (const [i, scored] of postprocess(outputs, batch.origSizes, numSelect).entries()) {
            const detections = {
              boxes: scored.boxes.toArray() as Float32Array,
              scores: scored.scores.toArray() as Float32Array,
              labels: Int32Array.from(scored.labels.toArray() as BigInt64Array, Number),
            };
            evaluator.addImage({
              id: batch.imageIds[i],
              width: batch.origSizes[i][1],
              height: batch.origSizes[i][0],
              gt: batch.truths[i],
              detections: options.classes === undefined ? detections : relabel(detections, options.classes),
            });
          }
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
