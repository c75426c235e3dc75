// Prepares batches ahead in worker threads while the model trains.

import { Worker } from "node:worker_threads";
import { type SentError, unpackError } from "../../support/error-transfer.js";
import { workerPath } from "../../support/worker-path.js";
import type { DatasetImage } from "../formats/dataset.js";
import type { Target } from "../target.js";
import { type Job, type Prepared, prepare, type Recipe } from "./prepare-sample.js";

/** Prepared images with their targets. */
export interface Batch {
  /** `[B, side, side, 3]` RGB bytes. */
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
  /** Worker threads; 0 prepares on the calling thread. */
  workers: number;
  /** Number of batches that are prepared ahead; default 2. */
  prefetch?: number;
  /**
   * For an image that does not decode: throw an error, or leave it out of its batch with a warning; default `error`.
   */
  onBadImage?: "error" | "skip";
  onWarning?: (message: string) => void;
}

type Reply = { id: number; prepared?: Prepared; error?: SentError };

/**
 * Prepares images on a pool of threads. Results do not depend on the number of threads.
 * @example
 * import { augmentPresets, DataLoader, epochOrder, openDataset } from "rfdetr/data";
 * const { images } = openDataset("birds/", "train");
 * const recipe = { side: 384, training: true, scaleJitter: true, augment: augmentPresets.default };
 * const loader = new DataLoader({ recipe, workers: 2 });
 * for await (const batch of loader.batches(images, epochOrder(images.length, 4, 0, 0), 4, (index) => [0, index]))
 *   console.log(batch.files);
 * await loader.close();
 */
export class DataLoader {
  readonly #options: LoaderOptions;
  readonly #workers: Worker[] = [];
  readonly #waiting = new Map<number, { resolve: (prepared: Prepared) => void; reject: (error: Error) => void }>();
  #next = 0;

  constructor(options: LoaderOptions) {
    this.#options = options;
    const file = workerPath(import.meta.url, "loader-worker.js");
    for (let i = 0; i < (file === null ? 0 : options.workers); i++) {
      const worker = new Worker(file as string, { workerData: options.recipe });
      worker.unref();
      worker.on("message", (reply: Reply) => this.#settle(reply));
      worker.on("error", (error) => {
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      });
      this.#workers.push(worker);
    }
  }

  #settle({ id, prepared, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (prepared !== undefined) waiting?.resolve(prepared);
    else unpackError(error as SentError).then(waiting?.reject);
  }

  #prepare(job: Job): Promise<Prepared> {
    if (this.#workers.length === 0) return prepare(job, this.#options.recipe);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#workers[id % this.#workers.length].postMessage({ id, job });
    });
  }

  /**
   * Batches of images.
   * @param order indices into `images`
   * @param seedOf the random seed of the i-th place in `order`
   * @throws DataError naming the image that does not decode, unless bad images are skipped
   */
  async *batches(
    images: readonly DatasetImage[],
    order: ArrayLike<number>,
    batchSize: number,
    seedOf: (place: number) => readonly (number | string)[],
  ): AsyncGenerator<Batch> {
    const ahead: Promise<Batch>[] = [];
    let at = 0;
    const start = (): void => {
      const places = Array.from({ length: Math.min(batchSize, order.length - at) }, (_, i) => at + i);
      at += places.length;
      const batch = this.#batch(places.map((place) => [images[order[place]], seedOf(place)]));
      // A failure is thrown when its batch is awaited below.
      batch.catch(() => {});
      ahead.push(batch);
    };
    while (at < order.length || ahead.length > 0) {
      while (ahead.length < (this.#options.prefetch ?? 2) + 1 && at < order.length) start();
      const batch = await (ahead.shift() as Promise<Batch>);
      if (batch.targets.length > 0) yield batch;
    }
  }

  async #batch(entries: [DatasetImage, readonly (number | string)[]][]): Promise<Batch> {
    const { recipe, onBadImage = "error", onWarning } = this.#options;
    const { side } = recipe;
    const results = await Promise.allSettled(
      entries.map(([image, seed]) =>
        this.#prepare({
          file: image.file,
          width: image.width,
          height: image.height,
          orientation: image.orientation,
          boxes: image.boxes,
          labels: image.labels,
          seed,
        }),
      ),
    );
    const good: [DatasetImage, Prepared][] = [];
    results.forEach((result, i) => {
      if (result.status === "fulfilled") good.push([entries[i][0], result.value]);
      else if (onBadImage === "error") throw result.reason;
      else onWarning?.((result.reason as Error).message);
    });
    const images = new Uint8Array(good.length * side * side * 3);
    good.forEach(([, { data }], i) => images.set(data, i * side * side * 3));
    return {
      images,
      height: side,
      width: side,
      targets: good.map(([image, { boxes, labels }]) => ({ boxes, labels, imageId: image.id })),
      files: good.map(([image]) => image.file),
      origSizes: good.map(([image]) => [image.height, image.width]),
      entries: good.map(([image]) => image),
    };
  }

  /** Ends the worker threads. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
