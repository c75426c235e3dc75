// One optimizer step: forward, loss and backward of every micro-batch, checks for finite values, clipping, AdamW and
// the moving average.

import { badGradients } from "@rfdetr/amp";
import { memory, noGrad, ops, optim, scope, span, type Tensor } from "@rfdetr/torch";
import { inFloat32 } from "../model/outputs.js";
import type { Ema } from "./ema.js";
import { type MicroBatch, prepareImages, type StepParts } from "./step-parts.js";
import { seedForward, type WholeStep, wholeStep } from "./whole-step.js";

/**
 * Seconds that the parts of a step took. On a GPU these are the times in which the work was handed over; what the GPU
 * still has to do counts in the part that next waits for it: the loss, which reads its value, and the optimizer, which
 * reads the norm.
 */
export interface StepSeconds {
  /** Turning the bytes of images into the input of the model. */
  images: number;
  forward: number;
  loss: number;
  backward: number;
  optimizer: number;
}

/** Who is told how far a step is. */
export interface StepObserver {
  /** A micro-batch begins. @param first the place of its first image among those of the step */
  microBatch(images: number, first: number): unknown;
  /** A phase of a micro-batch, or the optimizer, has ended. */
  ended(phase: Exclude<keyof StepSeconds, "images">): unknown;
  /** Forward has ended. @param bytes of tensors that it kept for backward */
  kept(bytes: number): unknown;
}

/** What was not finite. */
export interface Fault {
  /** In words. */
  what: string;
  /** The first parameter whose gradient is not finite; null if the loss was at fault. */
  parameter: string | null;
}

/** What a training step did. */
export interface StepResult {
  /** Mean over the micro-batches of the weighted sum of all terms. */
  loss: number;
  /** Means over the micro-batches of the unweighted terms. */
  terms: Map<string, number>;
  /** Global L2 norm of the gradients before clipping. */
  gradNorm: number;
  clipFactor: number;
  /** False if a loss or gradient was not finite: weights and moments are unchanged then. */
  applied: boolean;
  fault: Fault | null;
  /** A warning of the matcher about its costs or of the scaler about its scale, the first time; otherwise null. */
  warning: string | null;
  seconds: StepSeconds;
  /**
   * Bytes of tensors that the forward of a micro-batch kept for backward, and of the low-precision copies of the
   * weights.
   */
  keptBytes: number;
  halfCopyBytes: number;
}

/**
 * Runs one optimizer step over its micro-batches. Forward runs under autocast, the criterion outside it on float32
 * outputs. Every micro-batch's loss is checked; a loss or a gradient that is not finite leaves weights and moments
 * untouched.
 * @param size side length in pixels that the images are resized to; null keeps their size
 * @param ema moving average to update if the step is applied
 * @param observer is told how far the step is
 * @param whole the step that the micro-batches are a part of; default: they are all of it
 * @example
 * import { resolveSettings } from "rfdetr/settings";
 * import { randomBatch, stepParts, trainingStep } from "rfdetr/train";
 * const settings = resolveSettings({ datasetDir: "birds/", model: "nano" });
 * const parts = stepParts(model.train(), settings, { precision: "bf16-mixed", device: "cpu" });
 * const { loss, gradNorm, applied } = trainingStep(parts, [randomBatch(2, 384, 8)], null, null);
 */
export function trainingStep(
  parts: StepParts,
  microBatches: readonly MicroBatch[],
  size: number | null,
  ema: Ema | null = null,
  observer: StepObserver | null = null,
  whole: WholeStep = wholeStep(microBatches),
): StepResult {
  const { optimizer, autocast } = parts;
  const seconds: StepSeconds = { images: 0, forward: 0, loss: 0, backward: 0, optimizer: 0 };
  const terms = new Map<string, number>();
  const sums: Sums = { terms, seconds, keptBytes: 0, observer };
  const share = 1 / whole.microBatches;
  let loss = 0;
  let fault: Fault | null = null;
  let images = 0;
  optimizer.zeroGrad();
  for (const [index, batch] of microBatches.entries()) {
    observer?.microBatch(batch.targets.length, images);
    images += batch.targets.length;
    seedForward(whole, whole.numbers[index]);
    const value = scope(() => microBatch(parts, batch, size, { share, boxes: whole.boxes }, sums));
    loss += value * share;
    if (Number.isFinite(value)) continue;
    const which = badTerms(terms);
    fault = {
      what: `loss of micro-batch ${whole.numbers[index] + 1} of ${whole.microBatches}${which === "" ? "" : ` (${which})`}`,
      parameter: null,
    };
    break;
  }
  const halfCopyBytes = autocast.cachedBytes;
  const lap = stopwatch();
  const { norm, factor, bad } = span("optimizer", () => {
    // Backward was their last reader; the optimizer then works in the memory that they leave.
    autocast.clearCache();
    const applied = fault === null ? apply(parts, ema) : reject(parts, fault);
    optimizer.zeroGrad();
    return applied;
  });
  fault = bad;
  seconds.optimizer = lap();
  observer?.ended("optimizer");
  return {
    warning: parts.criterion.matcher.warning() ?? parts.scalerWarnings?.shift() ?? null,
    loss,
    terms,
    gradNorm: norm,
    clipFactor: factor,
    applied: fault === null,
    fault,
    seconds,
    keptBytes: sums.keptBytes,
    halfCopyBytes,
  };
}

/** The kinds of loss that are not finite, such as `loss_giou`, whatever the layer. */
export function badTerms(terms: ReadonlyMap<string, number>): string {
  const bad = [...terms].flatMap(([name, value]) =>
    name.startsWith("loss_") && !Number.isFinite(value) ? [name.replace(/_(\d+|enc)$/, "")] : [],
  );
  return [...new Set(bad)].join(", ");
}

interface Applied {
  norm: number;
  factor: number;
  bad: Fault | null;
}

/**
 * Unscales and clips the gradients and steps the optimizer, unless the norm is not finite: then some gradient is not
 * either.
 */
function apply({ model, optimizer, scaler, clipMaxNorm }: StepParts, ema: Ema | null): Applied {
  const { parameters } = optimizer;
  scaler.unscale(parameters);
  const norm = optim.gradientNorm(parameters);
  if (Number.isFinite(norm)) {
    scaler.settle(false); // a finite norm has no NaN and no infinity in it
    // The optimizer multiplies by it as it reads the gradients, which spares a pass over them.
    const factor = optim.clipFactor(norm, clipMaxNorm);
    const step = (): void => optimizer.step({ gradientScale: factor, average: ema?.advance(), freeGradients: true });
    scaler.step({ parameters, step });
    scaler.update();
    return { norm, factor, bad: null };
  }
  const [first] = badGradients(model.namedParameters());
  const parameter = first?.name ?? null;
  return reject(
    { scaler },
    { what: parameter === null ? "norm of the gradients" : `gradient of ${parameter}`, parameter },
  );
}

/** Changes nothing, except that the loss scale backs off. */
function reject({ scaler }: Pick<StepParts, "scaler">, bad: Fault): Applied {
  if (scaler.enabled) {
    scaler.reject();
    scaler.update();
  }
  return { norm: Number.NaN, factor: 1, bad };
}

/** Sums over the micro-batches of a step. */
interface Sums {
  terms: Map<string, number>;
  seconds: StepSeconds;
  keptBytes: number;
  observer: StepObserver | null;
}

/** Forward, loss and, if the loss is finite, backward of one micro-batch. @returns the loss */
function microBatch(
  parts: StepParts,
  batch: MicroBatch,
  size: number | null,
  { share, boxes }: { share: number; boxes: number | null },
  sums: Sums,
): number {
  const { terms, seconds, observer } = sums;
  const { model, criterion, autocast, scaler, device } = parts;
  const lap = stopwatch();
  const images = span("images", () => prepareImages(batch, size, device));
  seconds.images += lap();
  const before = memory(device).liveBytes - autocast.cachedBytes;
  const outputs = span("forward", () => inFloat32(autocast.run(() => model.call(images))));
  const kept = memory(device).liveBytes - autocast.cachedBytes - before;
  sums.keptBytes = Math.max(sums.keptBytes, kept);
  observer?.kept(kept);
  observer?.ended("forward");
  seconds.forward += lap();
  const { total, value } = span("loss", () => {
    const { total, terms: parted } = criterion.compute(outputs, batch.targets, { training: true, boxes });
    const [value, ...values] = readScalars([total, ...parted.values()]);
    for (const [i, name] of [...parted.keys()].entries()) terms.set(name, (terms.get(name) ?? 0) + values[i] * share);
    return { total, value };
  });
  observer?.ended("loss");
  seconds.loss += lap();
  if (!Number.isFinite(value)) return value;
  span("backward", () => scaler.scale(share === 1 ? total : total.mul(share)).backward());
  observer?.ended("backward");
  seconds.backward += lap();
  return value;
}

/** The values of scalars of one dtype, read at once: on a GPU each reading waits for all that was asked before. */
function readScalars(scalars: readonly Tensor[]): number[] {
  return Array.from(noGrad(() => ops.stack([...scalars]).toArray()) as Float32Array);
}

/** Seconds since the last call. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const passed = (now - last) / 1000;
    last = now;
    return passed;
  };
}
