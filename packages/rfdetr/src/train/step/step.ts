// One optimizer step: forward, loss and backward of every micro-batch, checks for finite values, clipping, AdamW and
// the moving average.

import { memory, noGrad, ops, scope, span, type Tensor } from "@rfdetr/torch";
import type { Shape } from "../../support/shape.js";
import type { Ema } from "./ema.js";
import { GradientSum } from "./gradient-sum.js";
import { type Fault, settle } from "./settle-step.js";
import { type MicroBatch, prepareImages, type StepParts, type StepSeconds } from "./step-parts.js";
import type { MicroBatchLoss, StepPeers } from "./step-peers.js";
import { placesByShare, seedForward, type WholeStep, wholeStep } from "./whole-step.js";

/** Who is told how far a step is. */
export interface StepObserver {
  /** A micro-batch begins. @param first the place of its first image among those of the step */
  microBatch(images: number, first: number): unknown;
  /** A phase of a micro-batch, or the optimizer, has ended. */
  ended(phase: Exclude<keyof StepSeconds, "images">): unknown;
  /** Forward has ended. @param bytes of tensors that it kept for backward */
  kept(bytes: number): unknown;
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
  /** Images of the step, in all processes. */
  images: number;
  /**
   * Bytes of tensors that the forward of a micro-batch kept for backward, and of the low-precision copies of the
   * weights.
   */
  keptBytes: number;
  halfCopyBytes: number;
}

/** Options of {@link trainingStep}. */
export interface StepOptions {
  /** What the images are resized to, in pixels; null, the default, keeps their size. */
  size?: Shape | null;
  /** Moving average to update if the step is applied; default null, which is none. */
  ema?: Ema | null;
  /** Called as the step goes on; default null. */
  observer?: StepObserver | null;
  /** The step that the micro-batches are a part of; default: they are all of it. */
  whole?: WholeStep;
  /** The processes that compute the other micro-batches; default null: there are none. */
  peers?: StepPeers | null;
}

/**
 * Runs one optimizer step over its micro-batches. Forward runs under autocast, the criterion outside it on float32
 * outputs. Every micro-batch's loss is checked; a loss or a gradient that is not finite leaves weights and moments
 * untouched.
 * @example
 * import { resolveSettings } from "rfdetr/settings";
 * import { randomBatch, stepParts, trainingStep } from "rfdetr/train";
 * const settings = resolveSettings({ datasetDir: "birds/", model: "nano" });
 * const parts = stepParts(model.train(), settings, { precision: "bf16-mixed", device: "cpu" });
 * const { loss, gradNorm, applied } = trainingStep(parts, [randomBatch(2, 384, 8)]);
 */
export function trainingStep(
  parts: StepParts,
  microBatches: readonly MicroBatch[],
  { size = null, ema = null, observer = null, whole = wholeStep(microBatches), peers = null }: StepOptions = {},
): StepResult {
  const { optimizer, autocast } = parts;
  const seconds: StepSeconds = { images: 0, forward: 0, loss: 0, backward: 0, optimizer: 0 };
  const own: Computed = { losses: [], seconds, keptBytes: 0 };
  optimizer.zeroGrad();
  computeGradients({ parts, microBatches, size, whole, peers, observer }, own);
  const halfCopyBytes = autocast.cachedBytes;
  const lap = stopwatch();
  const images = microBatches.reduce((sum, { targets }) => sum + targets.length, 0);
  const { all, ...applied } = span("optimizer", () => {
    // Backward was their last reader; the optimizer then works in the memory that they leave.
    autocast.clearCache();
    const settled = settle(parts, { losses: own.losses, images, seconds }, whole, ema, peers);
    optimizer.zeroGrad();
    return settled;
  });
  seconds.optimizer = lap();
  observer?.ended("optimizer");
  return {
    warning: parts.criterion.matcher.warning() ?? parts.scalerWarnings?.shift() ?? null,
    ...applied,
    applied: applied.fault === null,
    images: all.reduce((sum, part) => sum + part.images, 0),
    seconds,
    keptBytes: own.keptBytes,
    halfCopyBytes,
  };
}

/** What this process has computed of a step so far. */
interface Computed {
  losses: MicroBatchLoss[];
  seconds: StepSeconds;
  keptBytes: number;
}

/** The micro-batches of this process, and with what to compute them. */
interface StepWork extends Required<Omit<StepOptions, "ema">> {
  parts: StepParts;
  microBatches: readonly MicroBatch[];
}

/**
 * Forward, loss and backward of every micro-batch. A process alone ends at the first loss that is not finite; several
 * go on, because the others wait for the gradients.
 */
function computeGradients(work: StepWork, own: Computed): void {
  const { parts, microBatches, whole, peers, observer } = work;
  const shares = placesByShare(whole);
  const several = shares.length > 1 && (peers !== null || shares[0].length > 1);
  const sums = several ? new GradientSum(parts.optimizer.parameters, peers) : null;
  const alone = peers === null && whole.shares === 1;
  let images = 0;
  for (const share of shares) {
    for (const place of share) {
      const batch = microBatches[place];
      observer?.microBatch(batch.targets.length, images);
      images += batch.targets.length;
      const number = whole.numbers[place];
      seedForward(whole, number);
      const reducing = sums === null && place === share.at(-1) ? peers : null;
      const computed = scope(() => computeMicroBatch(work, batch, { evenIfNotFinite: !alone, reducing }, own));
      own.losses.push({ number, ...computed });
      if (alone && !Number.isFinite(computed.loss)) return;
    }
    sums?.add();
  }
  sums?.finish();
}

/** How the backward of a micro-batch runs. */
interface BackwardPlan {
  /** Whether it runs although the loss is not finite. */
  evenIfNotFinite: boolean;
  /** The processes over which the gradients are added up in it; null where they are not. */
  reducing: StepPeers | null;
}

/** Forward, loss and backward of one micro-batch. */
function computeMicroBatch(
  { parts, size, whole, observer }: StepWork,
  batch: MicroBatch,
  { evenIfNotFinite, reducing }: BackwardPlan,
  own: Computed,
): Omit<MicroBatchLoss, "number"> {
  const { seconds } = own;
  const { model, criterion, autocast, scaler, device } = parts;
  const lap = stopwatch();
  // Backward needs neither the images nor the outputs, but what autograd keeps of them.
  const { total, loss, terms } = scope(() => {
    const images = span("images", () => prepareImages(batch, size, device));
    seconds.images += lap();
    const before = memory(device).liveBytes - autocast.cachedBytes;
    const outputs = span("forward", () => autocast.run(() => model.call(images)));
    const kept = memory(device).liveBytes - autocast.cachedBytes - before;
    own.keptBytes = Math.max(own.keptBytes, kept);
    observer?.kept(kept);
    observer?.ended("forward");
    seconds.forward += lap();
    return span("loss", () => {
      const { total, terms: parted } = criterion.compute(outputs, batch.targets, {
        training: true,
        boxes: whole.boxes,
      });
      const [loss, ...values] = readScalars([total, ...parted.values()]);
      return { total, loss, terms: [...parted.keys()].map((name, i) => [name, values[i]] as const) };
    });
  });
  observer?.ended("loss");
  seconds.loss += lap();
  if (!evenIfNotFinite && !Number.isFinite(loss)) return { loss, terms };
  span("backward", () => {
    const scaled = scaler.scale(whole.microBatches === 1 ? total : total.mul(1 / whole.microBatches));
    if (reducing === null) scaled.backward();
    else reducing.backward(scaled);
  });
  observer?.ended("backward");
  seconds.backward += lap();
  return { loss, terms };
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
