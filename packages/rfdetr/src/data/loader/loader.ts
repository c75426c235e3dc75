// Prepares batches ahead in worker threads while the model trains.

import { DataError } from "../../support/errors.js";
import { workerPath } from "../../support/machine/worker-path.js";
import {
  anyList,
  anyObject,
  callback,
  checkOptions,
  count,
  countOrZero,
  flag,
  type OptionKind,
  type OptionKinds,
  oneOf,
} from "../../support/options.js";
import { Rng } from "../../support/random.js";
import { pixelsOf, sidesOf } from "../../support/shape.js";
import { checkAugConfig, customFunctions } from "../augment/config.js";
import { keyOf } from "../augment/custom-augmentation.js";
import type { DatasetImage } from "../formats/dataset.js";
import type { Target } from "../target.js";
import { createBudget } from "./memory-budget.js";
import { PixelCache } from "./pixel-cache.js";
import {
  type LoaderJob,
  type LoaderResult,
  type MemoryShare,
  type Prepared,
  prepare,
  type Recipe,
} from "./prepare-sample.js";
import { WorkerPool } from "./worker-pool.js";

/** Prepared images with their targets. */
export interface Batch {
  /** Its place among the batches of the order; those without any image are left out. */
  number: number;
  /** `[B, height, width, 3]` RGB bytes. */
  images: Uint8Array;
  height: number;
  width: number;
  targets: Target[];
  files: string[];
  /** Height and width of each original image. */
  origSizes: [height: number, width: number][];
  /** The dataset's own entries. */
  entries: DatasetImage[];
}

/** What a loader is made with. */
export interface LoaderOptions {
  recipe: Recipe;
  /** Worker threads, each of which prepares one image at a time; 0 prepares on the calling thread. */
  workers: number;
  /** Number of batches that are prepared ahead at the most; default 2. */
  prefetch?: number;
  /**
   * What happens to an image that does not decode; default `error`.
   * - `error`: its error is thrown.
   * - `skip`: it is left out of its batch, and a batch without any image is left out.
   * - `replace`: another image of the dataset takes its place, so that batches keep their size and number. Which one
   *   depends on the seed of the place only.
   */
  onBadImage?: "error" | "skip" | "replace";
  /** Receives a sentence for each file that is left out, once for each file. */
  onWarning?: (message: string) => void;
}

const loaderOptions: OptionKinds<LoaderOptions> = {
  recipe: anyObject,
  workers: countOrZero,
  prefetch: count,
  onBadImage: oneOf("error", "skip", "replace"),
  onWarning: callback,
};
/** The side of a square, or height and width. */
const anySize: OptionKind = {
  takes: "positive integer, or height and width",
  fits: (value) => [value].flat().every((side) => count.fits(side)) && (!Array.isArray(value) || value.length === 2),
};
const recipeOptions: OptionKinds<Recipe> = {
  size: anySize,
  training: flag,
  scaleJitter: flag,
  augment: {
    takes: "an object or a list of augmentations",
    fits: (value) => anyObject.fits(value) || anyList.fits(value),
  },
  classes: count,
};

/** Bytes that images take while they are decoded, in all threads together. */
const decodingLimit = 384 << 20;
/** Bytes of decoded images that are not used any more and not freed yet, in all threads together. */
const garbageLimit = 128 << 20;
/** Bytes of decoded images that are kept. */
const cacheLimit = 256 << 20;
/** Bytes of the batches that are prepared ahead. */
const aheadLimit = 256 << 20;
/** So many images in a row that do not decode are an error. */
const mostBad = 10;

type Seed = readonly (number | string)[];

/** Which images make the batches, and how they are drawn. */
export interface BatchPlan {
  /** Indices of the images, batch after batch. */
  order: ArrayLike<number>;
  /** Images of a batch; the last one may have fewer. */
  batchSize: number;
  /** The random seed of the image at a position of `order`. */
  seedOf: (position: number) => Seed;
}

/** An image of a batch. */
interface LoadedImage {
  image: DatasetImage;
  /** null where it does not decode and is left out. */
  prepared: Prepared | null;
  /** The images that do not decode, this one or those that it stands for. */
  bad: { file: string; message: string }[];
}

/**
 * Prepares images on a pool of threads. Results do not depend on the number of threads.
 *
 * Memory is bounded by 1 GiB, whatever the number of threads and the size of a step: 384 MiB for images that are being
 * decoded and 128 MiB for those that were, 256 MiB for decoded images that are kept, and 256 MiB for batches ahead. An
 * image or a batch that needs more by itself is prepared alone. Each thread takes about 15 MiB besides.
 * @example
 * import { augmentPresets, DataLoader, epochOrder, openDataset } from "rfdetr/data";
 * const { images } = openDataset("birds/", "train");
 * const recipe = { size: 384, training: true, scaleJitter: true, augment: augmentPresets.default };
 * const loader = new DataLoader({ recipe, workers: 2 });
 * const order = epochOrder(images.length, { effectiveBatch: 4, seed: 0, epoch: 0 });
 * for await (const batch of loader.batches(images, { order, batchSize: 4, seedOf: (position) => [0, position] }))
 *   console.log(batch.files);
 * await loader.close();
 */
export class DataLoader {
  readonly #options: LoaderOptions;
  readonly #pool: WorkerPool<LoaderJob, LoaderResult> | null;
  readonly #cache = new PixelCache(cacheLimit);
  readonly #leftOut = new Set<string>();
  /** Ends when the last image on the calling thread is prepared. */
  #before: Promise<unknown> = Promise.resolve();

  /** @throws UsageError for a wrong option, DataError for a wrong augmentation */
  constructor(options: LoaderOptions) {
    checkOptions("DataLoader", options, loaderOptions, ["recipe", "workers"]);
    checkOptions("the recipe of DataLoader", options.recipe, recipeOptions, [
      "size",
      "training",
      "scaleJitter",
      "augment",
    ]);
    checkAugConfig(options.recipe.augment);
    this.#options = options;
    const script = workerPath(import.meta.url, "loader-worker.js");
    const { recipe, workers } = options;
    const shares: MemoryShare = { budget: createBudget(decodingLimit), garbage: garbageLimit / workers };
    const guests = customFunctions(recipe.augment).map((custom) => `the augmentation ${keyOf(custom)}`);
    this.#pool =
      script === null || workers === 0
        ? null
        : new WorkerPool(script, workers, { workerData: { recipe, shares } }, guests);
  }

  /** Files that did not decode and were left out so far. */
  get leftOut(): ReadonlySet<string> {
    return this.#leftOut;
  }

  async #prepare(image: DatasetImage, seed: Seed): Promise<Prepared> {
    const { file, width, height, orientation, boxes, labels, outlines } = image;
    const key = `${orientation} ${file}`;
    const own = { file, width, height, orientation, boxes, labels, seed };
    const job = outlines === undefined ? own : { ...own, outlines };
    let room = 0;
    // Made when a thread is free: what is kept by then counts.
    const make = (): LoaderJob => {
      const pixels = this.#cache.get(key);
      if (pixels !== undefined) return { job, pixels };
      room = this.#cache.claim(width * height * 3);
      return { job, room };
    };
    let result: LoaderResult | null = null;
    try {
      result = await this.#run(make, `prepare ${file}`);
      return result.prepared;
    } finally {
      this.#cache.settle(key, room, result?.decoded);
    }
  }

  #run(make: () => LoaderJob, purpose: string): Promise<LoaderResult> {
    if (this.#pool !== null) return this.#pool.run(make, purpose);
    // One image at a time, as in a thread.
    const result = this.#before.then(() => prepare(make(), this.#options.recipe, null));
    this.#before = result.catch(() => {});
    return result;
  }

  /**
   * Batches of images.
   * @throws DataError naming the image that does not decode, unless bad images are left out; `ERR_MEMORY` if memory
   * runs out
   */
  async *batches(images: readonly DatasetImage[], { order, batchSize, seedOf }: BatchPlan): AsyncGenerator<Batch> {
    const { recipe, prefetch = 2 } = this.#options;
    const fitting = Math.floor(aheadLimit / (batchSize * pixelsOf(recipe.size) * 3));
    const most = Math.max(1, Math.min(prefetch, fitting));
    const ahead: Promise<LoadedImage[]>[] = [];
    let at = 0;
    const start = (): void => {
      const positions = Array.from({ length: Math.min(batchSize, order.length - at) }, (_, i) => at + i);
      at += positions.length;
      const batch = Promise.all(positions.map((i) => this.#load(images, order[i], seedOf(i))));
      // A failure is thrown when its batch is awaited below.
      batch.catch(() => {});
      ahead.push(batch);
    };
    for (let number = 0; at < order.length || ahead.length > 0; number++) {
      while (ahead.length < most + 1 && at < order.length) start();
      const loaded = await (ahead.shift() as Promise<LoadedImage[]>);
      for (const { bad } of loaded) this.#report(bad);
      const batch = this.#batch(loaded, number);
      if (batch.targets.length > 0) yield batch;
    }
  }

  /** Prepares an image, or another one where it does not decode and `onBadImage` is "replace". */
  async #load(images: readonly DatasetImage[], index: number, seed: Seed): Promise<LoadedImage> {
    const { onBadImage = "error" } = this.#options;
    const bad: LoadedImage["bad"] = [];
    let image = images[index];
    for (;;) {
      try {
        return { image, prepared: await this.#prepare(image, seed), bad };
      } catch (error) {
        if (!(error instanceof DataError) || onBadImage === "error" || bad.length === mostBad) throw error;
        bad.push({ file: image.file, message: error.message });
        if (onBadImage === "skip") return { image, prepared: null, bad };
        image = images[new Rng("instead", ...seed, bad.length).integer(0, images.length - 1)];
      }
    }
  }

  #report(bad: LoadedImage["bad"]): void {
    for (const { file, message } of bad) {
      if (this.#leftOut.has(file)) continue;
      this.#leftOut.add(file);
      this.#options.onWarning?.(`An image is left out. ${message}`);
    }
  }

  #batch(loaded: readonly LoadedImage[], number: number): Batch {
    const [height, width] = sidesOf(this.#options.recipe.size);
    const good = loaded.flatMap(({ image, prepared }) => (prepared === null ? [] : [{ image, prepared }]));
    const images = new Uint8Array(good.length * height * width * 3);
    good.forEach(({ prepared }, i) => {
      images.set(prepared.data, i * height * width * 3);
    });
    return {
      number,
      images,
      height,
      width,
      targets: good.map(({ image, prepared: { boxes, labels, masks } }) => ({
        boxes,
        labels,
        imageId: image.id,
        ...(masks === undefined ? {} : { masks }),
      })),
      files: good.map(({ image }) => image.file),
      origSizes: good.map(({ image }) => [image.height, image.width]),
      entries: good.map(({ image }) => image),
    };
  }

  /** Ends the worker threads. */
  async close(): Promise<void> {
    await this.#pool?.close();
  }
}
