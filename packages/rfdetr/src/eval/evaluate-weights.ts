// COCO figures of a weights file on a dataset.

import { type Precision, type PrecisionRequest, resolvePrecision } from "@rfdetr/amp";
import type { Split } from "../data/index.js";
import { modelAutocast } from "../model/precision.js";
import { resolveDevice } from "../support/device.js";
import { DataError, InternalError, NumericsError } from "../support/errors.js";
import type { ReadOptions } from "../weights/types.js";
import { loadModel } from "../weights/weights.js";
import { classMap } from "./class-map.js";
import type { CocoEvaluator } from "./coco/coco.js";
import type { CocoSummary } from "./coco/coco-summary.js";
import { evaluate } from "./evaluate.js";
import { type EvaluationDataOptions, openEvaluationData } from "./evaluation-data.js";

/** What a weights file is evaluated on, and how. */
export interface EvaluateWeightsOptions extends EvaluationDataOptions {
  /** Dataset folder. */
  data: string;
  split: Split;
  /** Images in a batch. */
  batch: number;
  precision: PrecisionRequest;
  /** `auto`, `cpu`, `cuda` or `cuda:N`. */
  device: string;
  /** Detections per image and class that count; default 100, the stock COCO definition. */
  maxDets?: number;
  /** How the weights number their classes, and what is called with what is unusual about them. */
  reading?: ReadOptions;
  /** Called after each batch with the numbers of images done and in all. */
  progress?: (done: number, total: number) => void;
}

/**
 * Scores a weights file on a split (`COCOeval` of pycocotools).
 * @throws CheckpointError if the weights cannot be loaded
 * @throws DataError if the split cannot be read, or has a class that the weights do not know
 * @throws NumericsError if the model gives detections that are not finite
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
  const { precision } = resolvePrecision(options.precision, device);
  const { model, classNames, config } = loadModel(weights, options.reading);
  if (device !== "cpu") model.to(device);
  const data = await openEvaluationData(options.data, options.split, config.resolution, options.batch, options);
  const classes = classMap(classNames, data.classNames);
  if (classes === null)
    throw new DataError(
      `Expected weights that were trained on the classes of ${options.data} (${some(data.classNames)}) ` +
        `but theirs are ${some(classNames)}`,
    );
  const evaluator = await evaluate({
    model,
    autocast: modelAutocast(model, { precision }),
    device,
    classNames: data.classNames,
    ...(data.classNames.join("\n") === classNames.join("\n") ? {} : { classes }),
    batches: data.batches(),
    maxDets: options.maxDets ?? 100,
    progress: (done) => {
      options.progress?.(done, data.images);
      return true;
    },
  });
  if (evaluator === null) throw new InternalError("Evaluation stopped without being cancelled");
  if (evaluator.images === 0)
    throw new DataError(`Expected images that decode in the ${options.split} split of ${options.data} but found none`);
  if (evaluator.nonFinite > 0) throw notFinite(weights, evaluator.nonFinite, precision);
  return { summary: evaluator.summarize(), evaluator, precision };
}

function notFinite(weights: string, detections: number, precision: Precision): NumericsError {
  return new NumericsError(
    `${detections} detections of ${weights} are not finite: the model overflows in ${precision}`,
    {
      hint: "Evaluate with `precision` 32-true",
    },
  );
}

function some(names: readonly string[]): string {
  return names.length <= 6 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}
