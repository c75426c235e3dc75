// One optimizer step: forward and loss of every micro-batch, backward, the finite checks, clipping, AdamW, schedule and average.

import { badGradients } from "@rfdetr/amp";
import { memory, optim, scope, span } from "@rfdetr/torch";
import { inFloat32 } from "../model/outputs.js";
import type { Ema } from "./ema.js";
import { type MicroBatch, prepareImages, type StepParts } from "./parts.js";

/** Seconds of the parts of a step. */
export interface StepSeconds {
  forward: number;
  loss: number;
  backward: number;
  optimizer: number;
}

/** What was not finite. */
export interface Fault {
  /** In words. */
  what: string;
  /** The first parameter with a bad gradient, where that was it. */
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
  /** False where something was not finite: nothing has changed then. */
  applied: boolean;
  fault: Fault | null;
  /** What the matching had to do about its costs, the first time; null otherwise. */
  warning: string | null;
  seconds: StepSeconds;
  /** Tensor bytes that the forward of a micro-batch left for backward, and those of the half copies of the weights. */
  keptBytes: number;
  halfCopyBytes: number;
}

/**
 * Runs one optimizer step over its micro-batches. Forward runs under autocast, the criterion outside it on float32 outputs.
 * Every micro-batch's loss is checked; a loss or a gradient that is not finite leaves weights and moments untouched.
 * @param size side length that the images are resized to; null leaves them as they are.
 * @param ema average that takes the weights in, if the step is applied
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
): StepResult {
  const { optimizer, autocast } = parts;
  const seconds: StepSeconds = { forward: 0, loss: 0, backward: 0, optimizer: 0 };
  const terms = new Map<string, number>();
  const sums: Sums = { terms, seconds, keptBytes: 0 };
  const share = 1 / microBatches.length;
  let loss = 0;
  let fault: Fault | null = null;
  optimizer.zeroGrad();
  for (const [index, batch] of microBatches.entries()) {
    const value = scope(() => microBatch(parts, batch, size, share, sums));
    loss += value * share;
    if (Number.isFinite(value)) continue;
    fault = { what: `loss of micro-batch ${index + 1} of ${microBatches.length}`, parameter: null };
    break;
  }
  const halfCopyBytes = autocast.cachedBytes;
  const lap = stopwatch();
  const { norm, factor, bad } = span("optimizer", () => {
    const applied = fault === null ? apply(parts, ema) : reject(parts, fault);
    optimizer.zeroGrad();
    autocast.clearCache();
    return applied;
  });
  fault = bad;
  seconds.optimizer = lap();
  return {
    warning: parts.criterion.matcher.warning(),
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

interface Applied {
  norm: number;
  factor: number;
  bad: Fault | null;
}

/** Unscale, clip, step. A norm that is not finite means that some gradient is not, and nothing is stepped. */
function apply({ model, optimizer, scaler, clipMaxNorm }: StepParts, ema: Ema | null): Applied {
  const { parameters } = optimizer;
  scaler.unscale(parameters);
  const norm = optim.gradientNorm(parameters);
  if (Number.isFinite(norm)) {
    // The optimizer multiplies by it as it reads the gradients, which spares a pass over them.
    const factor = optim.clipFactor(norm, clipMaxNorm);
    scaler.step({ parameters, step: () => optimizer.step({ gradientScale: factor, average: ema?.advance() }) });
    scaler.update();
    return { norm, factor, bad: null };
  }
  const [first] = badGradients(model.namedParameters());
  const parameter = first?.name ?? null;
  return reject({ scaler }, { what: parameter === null ? "norm of the gradients" : `gradient of ${parameter}`, parameter });
}

/** Leaves everything as it was, except that the loss scale backs off. */
function reject({ scaler }: Pick<StepParts, "scaler">, bad: Fault): Applied {
  if (scaler.enabled) {
    scaler.reject();
    scaler.update();
  }
  return { norm: Number.NaN, factor: 1, bad };
}

/** What the micro-batches of a step add up to. */
interface Sums {
  terms: Map<string, number>;
  seconds: StepSeconds;
  keptBytes: number;
}

/** Forward, loss and backward of one micro-batch. @returns its loss; without backward where that is not finite. */
function microBatch(parts: StepParts, batch: MicroBatch, size: number | null, share: number, sums: Sums): number {
  const { terms, seconds } = sums;
  const { model, criterion, autocast, scaler, device } = parts;
  const images = span("images", () => prepareImages(batch, size, device));
  const lap = stopwatch();
  const before = memory().liveBytes - autocast.cachedBytes;
  const outputs = span("forward", () => inFloat32(autocast.run(() => model.call(images))));
  sums.keptBytes = Math.max(sums.keptBytes, memory().liveBytes - autocast.cachedBytes - before);
  seconds.forward += lap();
  const { total, value } = span("loss", () => {
    const { total, terms: parted } = criterion.compute(outputs, batch.targets, { training: true });
    for (const [name, term] of parted) terms.set(name, (terms.get(name) ?? 0) + term.item() * share);
    return { total, value: total.item() };
  });
  seconds.loss += lap();
  if (!Number.isFinite(value)) return value;
  span("backward", () => scaler.scale(share === 1 ? total : total.mul(share)).backward());
  seconds.backward += lap();
  return value;
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
