// batch_size "auto": the largest batch that fits in memory, measured on steps of the worst case.

import type { Precision } from "@rfdetr/amp";
import { formatBytes } from "@rfdetr/amp/text";
import { memory, releaseCachedMemory, resetPeakMemory } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import type { ModelConfig } from "../../model/types.js";
import type { TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { randomBatch } from "../../train/random-batch.js";
import { trainingStep } from "../../train/step.js";
import { averageOf, stepParts } from "../../train/step-parts.js";

/** A batch that fits in memory. */
export interface AutoBatch {
  batchSize: number;
  gradAccumSteps: number;
  /** What was measured and chosen, in a sentence. */
  reason: string;
}

/**
 * Share of the memory that a step may take. The rest is for data, other programs and peaks that the measurement missed.
 */
const share = 0.8;

/**
 * Chooses the batch from the bytes of one step at each size: `base + size · perImage`.
 * @param wanted images of an optimizer step: no batch is larger, and accumulation makes up for a smaller one
 * @param bytesOf peak tensor bytes of a step at a batch size
 * @throws ConfigError when not even one image fits
 * @internal for tests
 */
export function chooseBatch(wanted: number, available: number, bytesOf: (batch: number) => number): AutoBatch {
  const budget = share * available;
  const one = bytesOf(1);
  if (one > budget)
    throw new ConfigError(
      `A step on one image takes ${formatBytes(one)} but only ${formatBytes(available)} is available`,
      {
        hint: "Lower `resolution`, choose a smaller `model`, or set `gradient_checkpointing`",
      },
    );
  const perImage = Math.max(1, bytesOf(2) - one);
  const fits = Math.floor((budget - one) / perImage) + 1;
  const batchSize = Math.max(1, Math.min(wanted, fits));
  const gradAccumSteps = Math.ceil(wanted / batchSize);
  const accumulation = gradAccumSteps === 1 ? "no accumulation" : `${gradAccumSteps} accumulated`;
  const needed = `${formatBytes(one)} plus ${formatBytes(perImage)} for each additional image`;
  return {
    batchSize,
    gradAccumSteps,
    reason: `batch size ${batchSize} with ${accumulation}: the largest step needs ${needed}; ${formatBytes(available)} is available`,
  };
}

/**
 * Measures steps of the worst case (the largest size of multi-scale training, the most boxes an image may have) with
 * everything that a run holds: gradients, moments, average. The operating system says how much memory is available,
 * limits of containers included.
 * @throws ConfigError on a GPU, whose free memory libtorch does not report here
 */
export function autoBatch(
  settings: TrainSettings,
  config: ModelConfig,
  side: number,
  precision: Precision,
  device: string,
): AutoBatch {
  if (device !== "cpu")
    throw new ConfigError(
      `The setting batch_size = "auto" measures the CPU's memory, and the device is ${device}: give a number`,
    );
  const available = process.availableMemory();
  const model = new RFDETRModel(config);
  model.train();
  model.checkpointing = settings.gradientCheckpointing;
  // With a scale of 1, no step is skipped because its gradients overflow.
  const parts = stepParts(model, settings, { precision, device, scale: 1 });
  const ema = averageOf(model, settings);
  try {
    return chooseBatch(settings.autoBatchTargetEffective, available, (batch) => {
      resetPeakMemory();
      trainingStep(parts, [randomBatch(batch, side, config.numClasses, settings.autoBatchMaxTargetsPerImage)], null);
      ema?.update();
      return memory().peakBytes;
    });
  } finally {
    const { expAvg, expAvgSq } = parts.optimizer.stateDict();
    for (const tensor of [
      ...model.stateDict().values(),
      ...expAvg,
      ...expAvgSq,
      ...(ema?.state().tensors.values() ?? []),
    ])
      tensor.dispose();
    releaseCachedMemory();
    resetPeakMemory();
  }
}
