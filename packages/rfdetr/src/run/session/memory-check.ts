// Refuses a step whose memory cannot be had, before anything of its size is made: the system would end the process.

import type { Precision } from "@rfdetr/amp";
import { formatBytes } from "@rfdetr/amp/text";
import { memory, releaseCachedMemory, resetPeakMemory } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import type { ModelConfig } from "../../model/types.js";
import type { TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { counted } from "../../support/format.js";
import { estimateMargin, extrapolatedPeak } from "../../support/machine/device-memory.js";
import { pixelsOf, type Shape, shapeInWords } from "../../support/shape.js";
import { randomBatch } from "../../train/measure/random-batch.js";
import { trainingStep } from "../../train/step/step.js";
import { averageOf, disposeTraining, stepParts } from "../../train/step/step-parts.js";
import { heldMemory } from "./auto-batch.js";
import { readyModel } from "./build-training.js";

/**
 * Bytes for each pixel of a micro-batch that a step takes at most, about: Nano takes 3749 in float32, Seg Nano 8040.
 * Where that is less than there is, nothing is measured.
 */
const mostPerPixel = { boxes: 4096, masks: 8192 } as const;
/** Blocks along a side of the two images that the estimate is measured on. */
const sides = [4, 8] as const;

/** A step that is to be taken. */
export interface CheckedStep {
  /** Size of the images, the largest of multi-scale training. */
  size: Shape;
  precision: Precision;
  device: string;
  /** Processes on this machine that train too. */
  sharedBy: number;
  /** The model, and the same for images of another side. */
  config: ModelConfig;
  modelAt: (side: number) => ModelConfig;
}

/**
 * Checks that there may be enough memory for the steps of a run. The estimate is made only where that is in question.
 * @throws ConfigError with an estimate where there is not
 */
export function checkMemory(settings: TrainSettings, step: CheckedStep): void {
  const { size, device, sharedBy, config } = step;
  const batch = settings.batchSize === "auto" ? 1 : settings.batchSize;
  const available = heldMemory(device).available() / (device === "cpu" ? sharedBy : 1);
  const perPixel = config.segmentationHead ? mostPerPixel.masks : mostPerPixel.boxes;
  if (batch * pixelsOf(size) * perPixel < available) return;
  const needed = estimatedMemory(settings, step);
  if (needed <= estimateMargin * available) return;
  throw new ConfigError(
    `A step on ${counted(batch, "image")} of ${shapeInWords(size)} pixels would take about ${formatBytes(needed)}, by what smaller images take, but ${formatBytes(available)} are available`,
    {
      hint: "Lower `resolution` or `batch_size`, choose a smaller `model`, or set `gradient_checkpointing`, or `memory` to lean or leanest",
    },
  );
}

/**
 * Bytes of tensors at the peak of a step, with the images of all its micro-batches, measured on small images.
 * @internal for tests
 */
export function estimatedMemory(
  settings: TrainSettings,
  { size, precision, device, config: { patchSize, numWindows }, modelAt }: CheckedStep,
): number {
  const batch = settings.batchSize === "auto" ? 1 : settings.batchSize;
  const [small, large] = sides.map((blocks) => blocks * patchSize * numWindows);
  const peak = extrapolatedPeak(pixelsOf(size), batch, [small, large], (side) =>
    peaks(settings, { config: modelAt(side), side, precision, device }),
  );
  return peak + 3 * pixelsOf(size) * batch * settings.gradAccumSteps;
}

/** The peak of the tensors of a step on one image, and on two. */
function peaks(
  settings: TrainSettings,
  { config, side, precision, device }: { config: ModelConfig; side: number; precision: Precision; device: string },
): [one: number, two: number] {
  const before = memory(device).liveBytes;
  const model = new RFDETRModel(config);
  readyModel(model, settings, device);
  const parts = stepParts(model, settings, { precision, device, scale: 1 });
  const ema = averageOf(model, settings);
  const peak = (images: number): number => {
    const batch = randomBatch(images, side, config.numClasses, 8, config.segmentationHead);
    resetPeakMemory(device);
    trainingStep(parts, [batch], { ema });
    return memory(device).peakBytes - before;
  };
  try {
    // The first step makes the moments.
    peak(1);
    return [peak(1), peak(2)];
  } finally {
    disposeTraining(parts, ema);
    releaseCachedMemory(device);
    resetPeakMemory(device);
  }
}
