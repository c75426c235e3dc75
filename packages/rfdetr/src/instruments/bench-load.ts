// Data loading measured as training does it: how many images a second, and how long a step waits for its images.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Precision } from "@rfdetr/amp";
import { augmentPresets } from "../data/augment/presets.js";
import { openDataset } from "../data/index.js";
import { openTrainData } from "../run/session/data.js";
import { resolveSettings } from "../settings/resolve.js";
import type { ReadySettings } from "../settings/settings.js";
import { DataError } from "../support/errors.js";
import { peakRss } from "../support/machine.js";
import { type Spread, spread } from "../support/statistics.js";
import { trainingScales } from "../train/multi-scale.js";
import type { MicroBatch } from "../train/parts.js";
import { trainingStep } from "../train/step.js";
import { benchParts } from "./bench-train.js";
import { benchPreparation, type PreparationBench, writePhotographs } from "./photographs.js";

/** Measurements of loading and preparing images. */
export interface LoadBench {
  model: string;
  resolution: number;
  /** Side of the squares that are loaded: the largest of multi-scale training. */
  side: number;
  batch: number;
  precision: Precision;
  device: string;
  /** The pictures that were written for this; null where they are the user's. */
  pictures: { width: number; height: number; bytes: number } | null;
  /** Milliseconds an image, on one thread that does nothing else. */
  preparation: PreparationBench;
  throughput: { workers: number; images_per_second: number }[];
  training: {
    workers: number;
    steps: number;
    seconds: {
      /** Steps that load nothing meanwhile, before and after the others. */
      step_alone: Spread;
      /** Steps while the images of later ones are loaded. */
      step: Spread;
      wait: Spread;
    };
    /** Share of the time that went into waiting for images. */
    wait_share: number;
    /** How much longer a step with its wait takes than one alone: loading works on the same cores. */
    slowdown: number;
  };
  peak_rss_bytes: number;
}

/** What is loaded. */
export interface LoadBenchOptions {
  model: string;
  batch: number;
  precision: Precision;
  device: string;
  /** Measured steps; another one before them is not. */
  steps: number;
  /** Worker counts whose throughput is measured; the first trains as well. */
  workers: readonly number[];
  /** Images for each worker count. */
  images: number;
  /** The user's dataset, or the size of pictures to write. */
  source: string | { width: number; height: number };
}

/** @throws DataError, or RfdetrError `ERR_DATA` where the dataset has too few images for every one to be read from its file. */
export async function benchLoad(options: LoadBenchOptions): Promise<LoadBench> {
  const { source, images, batch, steps } = options;
  const needed = Math.max(images, (steps + 1) * batch, 5 * batch);
  if (typeof source === "string") return measureFolder(source, needed, null, options);
  const folder = mkdtempSync(join(tmpdir(), "rfdetr-bench-load-"));
  try {
    const bytes = await writePhotographs(folder, { images: needed, ...source });
    return await measureFolder(folder, needed, { ...source, bytes }, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureFolder(
  datasetDir: string,
  needed: number,
  pictures: LoadBench["pictures"],
  options: LoadBenchOptions,
): Promise<LoadBench> {
  const { model, batch, precision, device, steps, images } = options;
  const dataset = openDataset(datasetDir, "train");
  // A second look at an image would find it decoded, and small sets repeat theirs.
  if (dataset.images.length < needed)
    throw new DataError(
      `Expected at least ${needed} training images in ${datasetDir} but found ${dataset.images.length}: lower images or steps, or leave the dataset out`,
    );
  const { config, parts, ema } = benchParts({ model, precision, device });
  const settings = { ...resolveSettings({ datasetDir, model }), batchSize: batch, gradAccumSteps: 1 };
  const manySizes = settings.multiScale !== false && settings.multiScale !== "off";
  const side = manySizes
    ? Math.max(...trainingScales(config.resolution, config.patchSize, config.numWindows, settings.expandedScales))
    : config.resolution;
  const open = (numWorkers: number) =>
    openTrainData({ ...settings, numWorkers } as ReadySettings, { seed: 0, side, evaluationSide: config.resolution });

  const { scaleJitter, augment } = settings;
  const recipe = { side, training: true, scaleJitter, augment: settings.augConfig ?? augmentPresets[augment] };
  const preparation = await benchPreparation(dataset.images.slice(0, Math.min(images, 16)), recipe);

  const throughput: LoadBench["throughput"] = [];
  for (const workers of options.workers) {
    const data = await open(workers);
    let count = 0;
    let start = performance.now();
    for await (const [{ targets }] of data.steps(0, 0)) {
      // The first batch waits for the threads to start.
      if (count === 0) start = performance.now();
      count += targets.length;
      if (count >= Math.max(images, 2 * batch)) break;
    }
    throughput.push({ workers, images_per_second: ((count - batch) * 1000) / (performance.now() - start) });
    await data.close();
  }

  const [workers] = options.workers;
  const data = await open(workers);
  const lap = (microBatches: MicroBatch[]): number => {
    const start = performance.now();
    trainingStep(parts, microBatches, config.resolution, ema);
    return (performance.now() - start) / 1000;
  };
  const [alone, together, wait]: number[][] = [[], [], []];
  let mark = performance.now();
  let first: MicroBatch[] | null = null;
  for await (const microBatches of data.steps(0, 0)) {
    const waited = (performance.now() - mark) / 1000;
    if (first === null) {
      first = microBatches;
      // By the end of these the batches ahead are there, as in the middle of a run.
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
  const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const seconds = { step_alone: spread(alone), step: spread(together), wait: spread(wait) };
  return {
    model,
    resolution: config.resolution,
    side,
    batch,
    precision,
    device,
    pictures,
    preparation,
    throughput,
    training: {
      workers,
      steps: together.length,
      seconds,
      wait_share: total(wait) / (total(wait) + total(together)),
      slowdown: (total(wait) + total(together)) / together.length / seconds.step_alone.median - 1,
    },
    peak_rss_bytes: peakRss(),
  };
}
