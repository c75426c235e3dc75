// Data loading measured as training does it: how many images a second, and how long a step waits for its images.

import { rmSync } from "node:fs";
import type { Precision } from "@rfdetr/amp";
import { augmentPresets } from "../../data/augment/presets.js";
import { openDataset } from "../../data/index.js";
import type { ModelConfig } from "../../model/types.js";
import { openTrainData } from "../../run/session/open-train-data.js";
import type { TrainData } from "../../run/session/training-data.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { ReadySettings, TrainSettings } from "../../settings/settings.js";
import { DataError } from "../../support/errors.js";
import { scratchFolder } from "../../support/files/scratch.js";
import { peakRss } from "../../support/machine/machine.js";
import type { Shape } from "../../support/shape.js";
import { type Spread, spread } from "../../support/statistics.js";
import { trainingScales } from "../../train/schedule/multi-scale.js";
import { trainingStep } from "../../train/step/step.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import { benchParts } from "./bench-train.js";
import { benchPreparation, type PreparationBench, writePhotographs } from "./photographs.js";

/** Measurements of loading and preparing images. */
export interface LoadBench {
  model: string;
  resolution: Shape;
  /** Side of the squares that are loaded: the largest of multi-scale training. */
  size: Shape;
  batch: number;
  precision: Precision;
  device: string;
  /** The pictures that were written for this, with the bytes of a file; null if they are the user's. */
  pictures: { width: number; height: number; bytes: number } | null;
  /** Milliseconds for one image, on one thread that does nothing else. */
  preparation: PreparationBench;
  throughput: { workers: number; images_per_second: number }[];
  training: {
    workers: number;
    steps: number;
    seconds: {
      /** Steps while nothing is loaded, before and after the others. */
      step_alone: Spread;
      /** Steps while the images of later steps are loaded. */
      step: Spread;
      wait: Spread;
    };
    /** Share of the time spent waiting for images. */
    wait_share: number;
    /** How much longer a step takes with its wait than alone, as a share: loading uses the same cores. */
    slowdown: number;
  };
  /** Of the process since it started: what was measured in it before counts as well. */
  peak_rss_bytes: number;
}

/** What is loaded. */
export interface LoadBenchOptions {
  model: string;
  batch: number;
  precision: Precision;
  device: string;
  /** Measured steps, after one that is not measured. */
  steps: number;
  /** Worker counts whose throughput is measured; the first is also used for training. */
  workers: readonly number[];
  /** Images for each worker count. */
  images: number;
  /** The user's dataset, or the size in pixels of pictures to write. */
  source: string | { width: number; height: number };
}

/**
 * Measures loading alone, training alone and both together.
 * @throws DataError if the dataset cannot be read, or has too few images to read each of them from its file
 */
export async function benchLoad(options: LoadBenchOptions): Promise<LoadBench> {
  const { source, images, batch, steps } = options;
  const needed = Math.max(images, (steps + 1) * batch, 5 * batch);
  if (typeof source === "string") return measureFolder(source, needed, null, options);
  const folder = scratchFolder("bench-load");
  try {
    const bytes = await writePhotographs(folder, { images: needed, ...source });
    return await measureFolder(folder, needed, { ...source, bytes }, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Opens the data of a training run with a number of loader threads. */
type Open = (workers: number) => Promise<TrainData>;

async function measureFolder(
  datasetDir: string,
  needed: number,
  pictures: LoadBench["pictures"],
  options: LoadBenchOptions,
): Promise<LoadBench> {
  const { model, batch, precision, device, images } = options;
  const dataset = openDataset(datasetDir, "train");
  // An image that is read again is decoded already, and small sets repeat theirs.
  if (dataset.images.length < needed)
    throw new DataError(
      `Expected at least ${needed} training images in ${datasetDir} but found ${dataset.images.length}: lower images or steps, or leave the dataset out`,
    );
  const trained = benchParts({ model, precision, device });
  const { resolution } = trained.config;
  const settings = { ...resolveSettings({ datasetDir, model }), batchSize: batch, gradAccumSteps: 1 };
  const size = largestSize(settings, trained.config);
  const { scaleJitter, augment } = settings;
  const recipe = { size, training: true, scaleJitter, augment: settings.augConfig ?? augmentPresets[augment] };
  const open: Open = (numWorkers) =>
    openTrainData({ ...settings, numWorkers } as ReadySettings, { seed: 0, size, evaluationSize: resolution });

  const preparation = await benchPreparation(dataset.images.slice(0, Math.min(images, 16)), recipe);
  const throughput: LoadBench["throughput"] = [];
  for (const workers of options.workers)
    throughput.push({ workers, images_per_second: await imagesPerSecond(open, workers, options) });
  const training = await trainWhileLoading(open, options, trained);
  const about = { model, resolution, size, batch, precision, device, pictures };
  return { ...about, preparation, throughput, training, peak_rss_bytes: peakRss() };
}

/** The size that images are loaded at: the largest of multi-scale training. */
function largestSize({ multiScale, expandedScales }: TrainSettings, config: ModelConfig): Shape {
  if (multiScale === false || multiScale === "off") return config.resolution;
  return trainingScales(config, { expanded: expandedScales }).at(-1) ?? config.resolution;
}

/** Images a second that the loader gives when nothing else runs. */
async function imagesPerSecond(open: Open, workers: number, { images, batch }: LoadBenchOptions): Promise<number> {
  const data = await open(workers);
  let count = 0;
  let start = performance.now();
  for await (const [{ targets }] of data.steps(0, 0)) {
    // The first batch waits for the threads to start.
    if (count === 0) start = performance.now();
    count += targets.length;
    if (count >= Math.max(images, 2 * batch)) break;
  }
  const seconds = (performance.now() - start) / 1000;
  await data.close();
  return (count - batch) / seconds;
}

async function trainWhileLoading(
  open: Open,
  { workers: [workers], steps }: LoadBenchOptions,
  { config, parts, ema }: ReturnType<typeof benchParts>,
): Promise<LoadBench["training"]> {
  const data = await open(workers);
  const lap = (microBatches: MicroBatch[]): number => {
    const start = performance.now();
    trainingStep(parts, microBatches, { size: config.resolution, ema });
    return (performance.now() - start) / 1000;
  };
  const [alone, together, wait]: number[][] = [[], [], []];
  let mark = performance.now();
  let first: MicroBatch[] | null = null;
  for await (const microBatches of data.steps(0, 0)) {
    const waited = (performance.now() - mark) / 1000;
    if (first === null) {
      first = microBatches;
      // When these steps end, the batches ahead are ready, as in the middle of a run.
      lap(first);
      alone.push(lap(first), lap(first));
    } else {
      wait.push(waited);
      together.push(lap(microBatches));
    }
    if (together.length >= steps) break;
    mark = performance.now();
  }
  await data.close();
  if (first !== null) for (let i = 0; i < 2; i++) alone.push(lap(first));
  const [waiting, stepping] = [wait, together].map((list) => list.reduce((a, b) => a + b, 0));
  const seconds = { step_alone: spread(alone), step: spread(together), wait: spread(wait) };
  return {
    workers,
    steps: together.length,
    seconds,
    wait_share: waiting / (waiting + stepping),
    slowdown: (waiting + stepping) / together.length / seconds.step_alone.median - 1,
  };
}
