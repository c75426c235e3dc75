// Measures every precision on one training step.
import {
  type Autocast,
  type Calibration,
  type CalibrationTask,
  calibrate,
  type Precision,
  roundsFor,
} from "@rfdetr/amp";
import { getRngState, memory, resetPeakMemory, scope, setRngState, type Tensor } from "@rfdetr/torch";
import type { Criterion } from "../../loss/criterion.js";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { type MemoryUse, memoryUses } from "../../model/types.js";
import { median } from "../../support/statistics.js";
import { type TrainedPrecision, trainedAutocast } from "../../weights/trained-precision.js";
import { type MicroBatch, prepareImages } from "../step/step-parts.js";

/** What is measured: a model and a training batch for it, and how it is trained. */
export interface Subject {
  model: RFDETRModel;
  classNames: readonly string[];
  batch: MicroBatch;
  criterion: Criterion;
  /** What the training does beside its precision, which is measured. */
  rules: TrainedPrecision;
  device: string;
  /** Whether the weights were trained. */
  trained: boolean;
}

/**
 * Measures every precision on the training step of a subject. The weights stay as they are.
 * @param options.rounds timed steps per precision
 */
export function calibrateSubject(
  { model, batch, criterion, rules, device }: Subject,
  options: Pick<CalibrationTask, "precisions" | "formats" | "rounds" | "progress"> = {},
): Calibration {
  return withTensors([prepareImages(batch, null, device), getRngState(device)], ([images, random]) =>
    calibrate({
      model,
      autocast: (precision, format) => trainedAutocast(model, { ...rules, numberFormat: format ?? null }, precision),
      forward: (autocast, dtype) => autocast.run(() => model.call(images.to(dtype))),
      step: (autocast, dtype, scale) => {
        const outputs = autocast.run(() => model.call(images.to(dtype)));
        // Every precision compares masks at the same points; otherwise their gradients would differ by chance.
        if (outputs.predMasks !== undefined) setRngState(random, device);
        const { total } = criterion.compute(outputs, batch.targets, { training: true });
        total.mul(scale).backward();
        return total.item();
      },
      ...options,
    }),
  );
}

/**
 * Frees tensors after a measurement: they would count in the next one until the garbage collector finds them, whose
 * time nobody knows.
 */
function withTensors<T>(tensors: Tensor[], measure: (tensors: Tensor[]) => T): T {
  try {
    return measure(tensors);
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** A way to spare memory, and what a training step takes with it. */
export interface MemoryPrice {
  /** The setting `memory`, or `gradient_checkpointing` where that is set. */
  way: MemoryUse | "gradient_checkpointing";
  /** Tensors at the peak of the step, weights included; gradients, but no moments and no average. */
  peak_tensor_bytes: number;
  /** Median of the rounds. */
  step_seconds: number;
  /** The shortest and the longest round. */
  step_seconds_range: [least: number, largest: number];
}

/**
 * Measures what each way to spare memory saves and costs on the training step of a subject, in turns. The weights and
 * the ways of its model stay as they are.
 * @param options.rounds timed steps of each way, after one that is not timed; default {@link roundsFor}
 */
export function memoryPrices(
  subject: Subject,
  { precision, rounds }: { precision: Precision; rounds?: number },
): MemoryPrice[] {
  const { model, batch, rules, device } = subject;
  const autocast = trainedAutocast(model, rules, precision);
  const { memory: use, checkpointing } = model;
  const ways = ([...memoryUses, "gradient_checkpointing"] as const).map((way) => ({
    way,
    peak: 0,
    seconds: [] as number[],
  }));
  withTensors([prepareImages(batch, null, device)], ([images]) => {
    for (let round = 0, last = 1; round <= last; round++) {
      for (const trial of ways) {
        model.memory = trial.way === "gradient_checkpointing" ? "default" : trial.way;
        model.checkpointing = trial.way === "gradient_checkpointing";
        const { seconds, peak } = priceOf(subject, autocast, images);
        if (round > 0) trial.seconds.push(seconds);
        trial.peak = peak;
      }
      if (round > 0) last = rounds ?? roundsFor(ways[0].seconds[0]);
    }
  });
  model.memory = use;
  model.checkpointing = checkpointing;
  for (const parameter of model.parameters()) parameter.grad = null;
  return ways.map(({ way, peak, seconds }) => ({
    way,
    peak_tensor_bytes: peak,
    step_seconds: median(seconds),
    step_seconds_range: [Math.min(...seconds), Math.max(...seconds)],
  }));
}

/** Takes a training step of a subject, as its model spares memory now. */
function priceOf(
  { model, batch, criterion, device }: Subject,
  autocast: Autocast,
  images: Tensor,
): { seconds: number; peak: number } {
  for (const parameter of model.parameters()) parameter.grad = null;
  resetPeakMemory(device);
  const start = performance.now();
  scope(() => {
    const outputs = autocast.run(() => model.call(images));
    criterion.compute(outputs, batch.targets, { training: true }).total.backward();
  });
  const seconds = (performance.now() - start) / 1000;
  const { peakBytes: peak } = memory(device);
  autocast.clearCache();
  return { seconds, peak };
}
