// COCO figures of a weights file on a dataset.

import type { NumberFormatName, Precision, PrecisionRequest } from "@rfdetr/amp";
import type { Tensor } from "@rfdetr/torch";
import { InternalError } from "../support/errors.js";
import { resolveDevice } from "../support/machine/device.js";
import { resolveTrained, trainedAutocast } from "../weights/trained-precision.js";
import type { ReadOptions } from "../weights/types.js";
import { loadModel, readTrainedPrecision } from "../weights/weights.js";
import type { CocoEvaluator } from "./coco/coco.js";
import type { CocoSummary } from "./coco/coco-summary.js";
import { evaluate } from "./evaluate.js";
import { checkForwardMemory } from "./forward-memory.js";
import { checkScored, openScoredSplit, type ScoredSplitOptions } from "./scored-split.js";

/** What a weights file is evaluated on, and how. */
export interface EvaluateWeightsOptions extends ScoredSplitOptions {
  /** `auto` is that of the training, or what fits the device: {@link resolveTrained}. */
  precision: PrecisionRequest;
  /** Number format to emulate in linear layers; null for none. Default: that of the training. */
  numberFormat?: NumberFormatName | null;
  /** `auto`, `cpu`, `cuda` or `cuda:N`. */
  device: string;
  /** How the weights number their classes, and what is called with what is unusual about them. */
  reading?: ReadOptions;
}

/**
 * Scores a weights file on a split (`COCOeval` of pycocotools).
 * @throws CheckpointError if the weights cannot be loaded
 * @throws DataError if the split cannot be read, or has a class that the weights do not know
 * @throws ConfigError if there is no memory for a batch
 * @throws NumericsError if the model gives detections that are not finite
 * @throws the reason of the signal when it is aborted
 * @example
 * import { evaluateWeights } from "rfdetr/eval";
 * const options = { data: "birds/", split: "valid", batch: 4, precision: "auto", device: "auto" } as const;
 * const { summary } = await evaluateWeights("best.safetensors", options);
 */
export async function evaluateWeights(
  weights: string,
  options: EvaluateWeightsOptions,
): Promise<{ summary: CocoSummary; evaluator: CocoEvaluator; precision: Precision }> {
  const device = resolveDevice(options.device);
  const { precision } = resolveTrained(options.precision, readTrainedPrecision(weights), device);
  const { model, classNames, config, trained } = loadModel(weights, options.reading);
  const { numberFormat = trained.numberFormat } = options;
  if (device !== "cpu") model.to(device);
  const { images, batches, ...split } = await openScoredSplit(classNames, config.resolution, {
    ...options,
    masks: config.segmentationHead,
  });
  options.signal?.throwIfAborted();
  const autocast = trainedAutocast(model, { ...trained, numberFormat }, precision);
  model.eval();
  const forward = (pixels: Tensor) => autocast.run(() => model.call(pixels));
  checkForwardMemory({ config, device, forward }, Math.min(options.batch, images), config.resolution);
  const evaluator = await evaluate({
    model,
    autocast,
    device,
    ...split,
    batches: batches(),
    maxDets: options.maxDets ?? 100,
    progress: (done) => {
      options.progress?.(done, images);
      return options.signal?.aborted !== true;
    },
  });
  options.signal?.throwIfAborted();
  if (evaluator === null) throw new InternalError("Evaluation stopped without being cancelled");
  checkScored(evaluator, weights, precision, options, numberFormat);
  return { summary: evaluator.summarize(), evaluator, precision };
}
