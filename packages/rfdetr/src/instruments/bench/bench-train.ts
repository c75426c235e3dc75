// Measures training steps on random images: seconds of the phases, memory, operations.

import type { Precision } from "@rfdetr/amp";
import { manualSeed, memory, noGrad, resetPeakMemory, scope } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import type { MemoryUse, ModelConfig } from "../../model/types.js";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { TrainSettings } from "../../settings/settings.js";
import { peakRss } from "../../support/machine/machine.js";
import type { Shape } from "../../support/shape.js";
import { joinSpreads, median, type Spread, spread } from "../../support/statistics.js";
import { randomBatch } from "../../train/measure/random-batch.js";
import type { Ema } from "../../train/step/ema.js";
import { trainingStep } from "../../train/step/step.js";
import { averageOf, disposeTraining, prepareImages, type StepParts, stepParts } from "../../train/step/step-parts.js";
import { countFlops } from "./flops.js";
import { peakFlops } from "./hardware-peaks.js";

/** Figures of a training step. */
export interface TrainBench {
  model: string;
  resolution: Shape;
  batch: number;
  queries: number;
  /** Boxes of each image. */
  boxes: number;
  precision: Precision;
  device: string;
  steps: number;
  seconds: { step: Spread; forward: Spread; loss: Spread; backward: Spread; optimizer: Spread };
  /** Of the process since it started: what was measured in it before counts as well. */
  peak_rss_bytes: number;
  peak_tensor_bytes: number;
  /** Operations of forward as counted, and twice as many for backward. */
  flops_per_step: number;
  /** Best rate of a large matrix product in the dtype of the precision, operations a second. */
  peak_flops: number;
  /** Model FLOPs utilisation: the rate of the step over `peak_flops`. */
  mfu: number;
  losses: number[];
}

/** A model to measure. */
export interface BenchModel {
  model: string;
  precision: Precision;
  device: string;
  resolution?: number;
  /** Queries of each group; default those of the variant. */
  queries?: number;
  /** Recompute activations in backward instead of keeping them. */
  checkpointing?: boolean;
  /** How much of a forward pass is kept for backward; default all. */
  memory?: MemoryUse;
  /** How the optimizer keeps its moments; default float32. */
  optimizerState?: TrainSettings["optimizerState"];
}

/** Fresh parts of a training step for a model: everything except data. */
export function partsOf(
  model: RFDETRModel,
  { precision, device, optimizerState }: Pick<BenchModel, "precision" | "device" | "optimizerState">,
): { parts: StepParts; ema: Ema } {
  const settings = resolveSettings({ datasetDir: "-", model: model.config.variant, optimizerState });
  if (device !== "cpu") model.to(device);
  model.train();
  return { parts: stepParts(model, settings, { precision, device }), ema: averageOf(model, settings) as Ema };
}

/** What is measured. */
export interface TrainBenchOptions extends BenchModel {
  batch: number;
  steps: number;
  warmup: number;
  /** Boxes of each image; default 8. */
  boxes?: number;
}

/** A model of random weights with the parts of its training step. */
export function benchParts(options: BenchModel): {
  config: ModelConfig;
  parts: StepParts;
  ema: Ema;
} {
  manualSeed(0);
  const config = resolveModel(options.model, { resolution: options.resolution, numQueries: options.queries });
  const model = new RFDETRModel(config);
  model.checkpointing = options.checkpointing ?? false;
  model.memory = options.memory ?? "default";
  return { config, ...partsOf(model, options) };
}

/**
 * Trains a fresh model for some steps on one random batch and measures them.
 * @example
 * import { benchTrain } from "rfdetr/instruments";
 * const bench = benchTrain({ model: "nano", precision: "bf16-mixed", device: "cpu", batch: 2, steps: 5, warmup: 2 });
 * console.log(bench.seconds.step.median, bench.mfu);
 */
export function benchTrain(options: TrainBenchOptions): TrainBench {
  const { batch, precision, device } = options;
  const { config, parts, ema } = benchParts(options);
  const { model } = parts;
  manualSeed(1);
  const data = randomBatch(batch, config.resolution, config.numClasses, options.boxes, config.segmentationHead);
  const laps: { step: number; forward: number; loss: number; backward: number; optimizer: number }[] = [];
  const losses: number[] = [];
  for (let i = 0; i < options.warmup + options.steps; i++) {
    if (i === options.warmup) resetPeakMemory(device);
    const start = performance.now();
    const result = trainingStep(parts, [data], { ema });
    const end = performance.now();
    losses.push(result.loss);
    if (i >= options.warmup) laps.push({ ...result.seconds, step: (end - start) / 1000 });
  }
  // Read before the operations are counted, because counting runs a forward in float32.
  const peakTensorBytes = memory(device).peakBytes;
  const peakRssBytes = peakRss();
  const forward = countFlops(() =>
    noGrad(() =>
      scope(() => {
        model.call(prepareImages(data, null, device));
      }),
    ),
  );
  disposeTraining(parts, ema);
  const flops = 3 * forward;
  const peak = peakFlops(precision, device);
  const seconds = ofEach((name) => spread(laps.map((lap) => lap[name])));
  return {
    model: options.model,
    resolution: config.resolution,
    batch,
    queries: config.numQueries,
    boxes: options.boxes ?? 8,
    precision,
    device,
    steps: options.steps,
    seconds,
    peak_rss_bytes: peakRssBytes,
    peak_tensor_bytes: peakTensorBytes,
    flops_per_step: flops,
    peak_flops: peak,
    mfu: flops / seconds.step.median / peak,
    losses,
  };
}

type Seconds = TrainBench["seconds"];

/** A figure of the step and of each of its parts. */
const ofEach = (figure: (name: keyof Seconds) => Spread): Seconds => ({
  step: figure("step"),
  forward: figure("forward"),
  loss: figure("loss"),
  backward: figure("backward"),
  optimizer: figure("optimizer"),
});

/** The figures of several processes as one: medians of their medians, and the shortest times of all. */
export function joinTrainRounds(rounds: readonly TrainBench[]): TrainBench {
  const [first] = rounds;
  const middle = (figure: (each: TrainBench) => number) => median(rounds.map(figure));
  const seconds = ofEach((name) => joinSpreads(rounds.map((each) => each.seconds[name])));
  const peak = middle((each) => each.peak_flops);
  return {
    ...first,
    seconds,
    peak_rss_bytes: middle((each) => each.peak_rss_bytes),
    peak_tensor_bytes: middle((each) => each.peak_tensor_bytes),
    peak_flops: peak,
    mfu: first.flops_per_step / seconds.step.median / peak,
  };
}
