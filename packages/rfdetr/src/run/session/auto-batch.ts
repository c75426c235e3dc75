// batch_size "auto": the largest batch that fits in memory, measured on steps of the worst case.

import type { Precision } from "@rfdetr/amp";
import { formatBytes } from "@rfdetr/amp/text";
import { deviceMemory, memory, releaseCachedMemory, resetPeakMemory } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import type { ModelConfig } from "../../model/types.js";
import type { TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { availableOn } from "../../support/machine/device-memory.js";
import { peakRss } from "../../support/machine/machine.js";
import type { Shape } from "../../support/shape.js";
import { randomBatch } from "../../train/measure/random-batch.js";
import { replayStep } from "../../train/measure/replay.js";
import { trainingStep } from "../../train/step/step.js";
import { averageOf, disposeTraining, type MicroBatch, type StepParts, stepParts } from "../../train/step/step-parts.js";
import { StepWatch } from "../steps/step-watch.js";
import { readyModel } from "./build-training.js";

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

/** Bytes that steps take, by kind of step. */
export interface StepMemory {
  /** Peak of the tensors in a step with accumulation; 0 where a watched step was measured, which takes more. */
  step: number;
  /** The same for a step that the monitor watches; 0 where none is watched. */
  watched: number;
  /** The same while a faulty step is run again to find where the fault began. */
  replay: number;
  /** What the process takes beside tensors: scratch of the kernels, fragments, what the allocator keeps. */
  outside: number;
}

/**
 * Chooses the batch from the memory of the largest kind of step at each size: `base + size · perImage`.
 * @param wanted images of an optimizer step: no batch is larger, and accumulation makes up for a smaller one
 * @param memoryOf memory of the steps at a batch size
 * @throws ConfigError when not even one image fits
 * @internal for tests
 */
export function chooseBatch(wanted: number, available: number, memoryOf: (batch: number) => StepMemory): AutoBatch {
  const budget = share * available;
  const [first, second] = [memoryOf(1), memoryOf(2)];
  // Each kind grows by itself: which is the largest may change with the size.
  const kinds = (["step", "watched", "replay"] as const).map((kind) => {
    const one = first[kind] + first.outside;
    return { one, perImage: Math.max(1, second[kind] + second.outside - one) };
  });
  const one = Math.max(...kinds.map((kind) => kind.one));
  if (one > budget)
    throw new ConfigError(
      `A step on one image takes ${formatBytes(one)} but only ${formatBytes(budget)} of ${formatBytes(available)} may be used`,
      {
        hint: "Lower `resolution`, choose a smaller `model`, set `memory` to lean or leanest, `optimizer_state` to 8bit or `gradient_checkpointing`, or set `monitor_interval` to 0",
      },
    );
  const fits = Math.min(...kinds.map((kind) => Math.floor((budget - kind.one) / kind.perImage) + 1));
  const perImage = Math.max(...kinds.map((kind) => kind.perImage));
  const batchSize = Math.max(1, Math.min(wanted, fits));
  const gradAccumSteps = Math.ceil(wanted / batchSize);
  const accumulation = gradAccumSteps === 1 ? "no accumulation" : `${gradAccumSteps} accumulated`;
  const needed = `${formatBytes(one)} plus ${formatBytes(perImage)} for each additional image`;
  return {
    batchSize,
    gradAccumSteps,
    reason: `batch size ${batchSize} with ${accumulation}: the largest step, watched or run again, needs ${needed}; ${formatBytes(available)} is available`,
  };
}

/** The step whose memory is measured. */
export interface MeasuredStep {
  config: ModelConfig;
  /** Size of the images in pixels, the largest of multi-scale training. */
  size: Shape;
  precision: Precision;
  device: string;
  /** Processes on this machine that measure too; default 1. */
  sharedBy?: number;
}

/**
 * Measures steps of the model as it will be trained, with adapters and frozen parts, in the worst case (the largest
 * size of multi-scale training, the most boxes an image may have) with everything that a run holds: gradients, moments,
 * average, and what the monitor and the replay of a fault hold. The operating system says how much memory is available,
 * limits of containers included; on a GPU its driver says so.
 */
export function autoBatch(
  settings: TrainSettings,
  { config, size, precision, device, sharedBy = 1 }: MeasuredStep,
): AutoBatch {
  const held = heldMemory(device);
  // The processes of a machine share its memory; each has a GPU of its own.
  const available = held.available() / (device === "cpu" ? sharedBy : 1);
  const before = { held: held.now(), live: memory(device).liveBytes };
  const model = new RFDETRModel(config);
  readyModel(model, settings, device);
  // With a scale of 1, no step is skipped because its gradients overflow.
  const parts = stepParts(model, settings, { precision, device, scale: 1 });
  const ema = averageOf(model, settings);
  const gradients = parts.optimizer.parameters.reduce((sum, { nbytes }) => sum + nbytes, 0);
  try {
    const wanted = Math.ceil(settings.autoBatchTargetEffective / settings.processes);
    return chooseBatch(wanted, available, (batch) => {
      const { autoBatchMaxTargetsPerImage: objects } = settings;
      const batches = [randomBatch(batch, size, config.numClasses, objects, config.segmentationHead)];
      const watched = settings.monitorInterval !== 0;
      return measure(device, before, gradients, {
        // A watched step takes all that a plain one takes.
        step: watched ? null : () => trainingStep(parts, batches),
        watched: watched ? () => watchedStep(parts, batches) : null,
        replay: () => replayStep(parts, batches, { step: 1, precision, files: [], scale: 1, size: null }),
      });
    });
  } finally {
    disposeTraining(parts, ema);
    releaseCachedMemory(device);
    resetPeakMemory(device);
  }
}

/** What the process holds of a device's memory, tensors and all else, and what it can still get. Bytes. */
interface HeldMemory {
  now: () => number;
  peak: () => number;
  available: () => number;
}

export function heldMemory(device: string): HeldMemory {
  const available = (): number => availableOn(device);
  if (device === "cpu") return { now: () => process.memoryUsage.rss(), peak: peakRss, available };
  return { now: () => deviceMemory(device).heldBytes, peak: () => deviceMemory(device).peakHeldBytes, available };
}

function watchedStep(parts: StepParts, batches: readonly MicroBatch[]): void {
  const watch = new StepWatch(parts, null, () => 1);
  try {
    trainingStep(parts, batches, { observer: watch.begin(1) });
    watch.end();
  } finally {
    watch.close();
  }
}

/**
 * @param before what the process held, and its tensors, before the model was made
 * @param gradients bytes of all gradients: with accumulation, those of one micro-batch are held during the next
 */
function measure(
  device: string,
  before: { held: number; live: number },
  gradients: number,
  kinds: Record<"step" | "watched" | "replay", (() => void) | null>,
): StepMemory {
  const held = heldMemory(device);
  const largest = held.peak();
  const [step, watched, replay] = [kinds.step, kinds.watched, kinds.replay].map((run) => {
    if (run === null) return 0;
    resetPeakMemory(device);
    run();
    return memory(device).peakBytes + gradients;
  });
  // The largest resident set tells of these steps only if it grew in them. What is resident now may be freed memory
  // that the allocator keeps for the next step.
  const most = held.peak() > largest ? held.peak() : held.now();
  const tensors = Math.max(step, watched, replay) - gradients - before.live;
  return { step, watched, replay, outside: Math.max(0, most - before.held - tensors) };
}
