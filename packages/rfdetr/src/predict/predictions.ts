// Predictions for many images: an async iterable, or a list when awaited.
import type { Detection } from "../model/types.js";
import type { ImageSource, RawImage } from "../pictures/picture.js";
import { UsageError } from "../support/errors.js";
import { isOutOfMemory } from "../support/machine/memory-error.js";
import { BatchSize } from "./batch-size.js";
import { type ImageInput, imageSource } from "./inputs/image-input.js";
import { ImageList } from "./inputs/inputs.js";
import type { DetectOptions, ImagePrediction } from "./types.js";
import { Video, type VideoFrame } from "./video/video.js";
import { shownVideo } from "./video/video-name.js";

/** What is found in images, and how. */
export interface PredictOptions extends DetectOptions {
  /** Stops the prediction: what waits for it is rejected with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Whether the memory of bytes and pixels is given to the thread of the model: it is not copied, and empty for the
   * caller afterwards. Default false.
   */
  transfer?: boolean;
}

/** As for one image, and how many go together. */
export interface PredictManyOptions extends PredictOptions {
  /**
   * Images in a forward pass; default 1. Results equal those one by one up to the rounding of the sums. `auto` tries 1,
   * 2, 4, … on the first batches, as long as an image gets faster and memory suffices; for a camera it is 1.
   */
  batch?: number | "auto";
  /**
   * What becomes of an image that cannot be read, while the others go on. A function is called with its error, and
   * iterating passes over it; in a list it has no detections. `return` gives it a result with `error`. Default
   * `throw`: its error ends the prediction.
   */
  onError?: "throw" | "return" | ((error: Error, source: ImageInput) => void);
}

/** What was found in one of many images. */
export interface SourcePrediction<Source extends ImageInput = ImageInput> extends ImagePrediction {
  source: Source;
  /** Why the image cannot be read, with `onError: "return"`. Its size is 0 then, and it has no detections. */
  error?: Error;
}

/**
 * What text leads to. Awaited, it is the detections of an image; a folder, a pattern or a video, which text may name
 * as well, is refused then. Iterated, it is what was found in each image, or in each frame of a video.
 */
export type TextPredictions = Promise<Detection[]> & AsyncIterable<SourcePrediction<string | VideoFrame>>;

/**
 * Runs a batch. For each image it gives what was found, or an error.
 * @param lend whether the images are pixels that come back, instead of being given away
 */
export type DetectBatch = (
  images: ImageSource[],
  options: DetectOptions,
  signal?: AbortSignal,
  lend?: boolean,
) => Promise<(ImagePrediction | Error)[]>;

/**
 * Predictions for many images, in their order. Iterate them, or await them for the list of the detections of each
 * image. Nothing runs before that; iterating again predicts again.
 * @example
 * import { RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano", { weights: "best.safetensors" });
 * const [first, second] = await detector.predict(["a.jpg", "b.jpg"]);
 * for await (const { source, detections } of detector.predict(["a.jpg", "b.jpg"], { batch: 2 }))
 *   console.log(source, detections.length);
 */
export class Predictions<Source extends ImageInput = ImageInput, Result = Detection[][]>
  implements AsyncIterable<SourcePrediction<Source>>, Promise<Result>
{
  readonly [Symbol.toStringTag] = "Predictions";
  readonly #sources: Iterable<Source> | AsyncIterable<Source>;
  readonly #options: PredictManyOptions;
  readonly #detect: DetectBatch;
  #list: Promise<Result> | null = null;

  constructor(sources: Iterable<Source> | AsyncIterable<Source>, options: PredictManyOptions, detect: DetectBatch) {
    // Its owner may change a list before it is read.
    this.#sources = Array.isArray(sources) ? [...sources] : sources;
    this.#options = options;
    this.#detect = detect;
  }

  /** Called by `await`. */
  // biome-ignore lint/suspicious/noThenProperty: awaiting a list of images gives a list of results
  then<A = Result, B = never>(
    resolve?: ((value: Result) => A | PromiseLike<A>) | null,
    reject?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#list ??= this.#collect() as Promise<Result>;
    return this.#list.then(resolve, reject);
  }

  /** As of a promise. */
  catch<B = never>(reject?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Result | B> {
    return this.then(null, reject);
  }

  /** As of a promise. */
  finally(action?: (() => void) | null): Promise<Result> {
    return this.then().finally(action);
  }

  async #collect(): Promise<Detection[][]> {
    const sources = this.#sources;
    if (sources instanceof Video)
      throw new UsageError(
        `Expected an image to be awaited but ${shownVideo(sources.name)} is a video: iterate over its frames, with for await and video(…)`,
      );
    if (sources instanceof ImageList)
      throw new UsageError(
        `Expected an image to be awaited but ${sources.text} is a ${sources.kind}: iterate over its images, with for await, or give imageFiles([${JSON.stringify(sources.text)}])`,
      );
    if (this.#options.onError === "return")
      throw new UsageError("Expected predictions with onError return to be iterated: a list has no place for an error");
    const list: Detection[][] = [];
    for await (const { detections } of this.#run(true)) list.push(detections);
    return list;
  }

  [Symbol.asyncIterator](): AsyncGenerator<SourcePrediction<Source>> {
    return this.#run(false);
  }

  /** @param every whether an image that cannot be read takes a place in the results */
  async *#run(every: boolean): AsyncGenerator<SourcePrediction<Source>> {
    const { signal, onError = "throw" } = this.#options;
    const left = new AbortController();
    const sources = iteratorOf(this.#sources);
    const batches = this.#batches(sources, left.signal);
    try {
      for (;;) {
        const { value, done } = await abortable(batches.next(), signal);
        if (done) return;
        const { sources, results } = value;
        for (const [i, result] of (await abortable(results, signal)).entries()) {
          yield* delivered(sources[i], result, onError, every);
        }
      }
    } finally {
      // What was sent ahead is dropped, and a source that never answers is not waited for.
      left.abort();
      Promise.resolve(sources.return?.()).catch(() => {});
      batches.return(undefined).catch(() => {});
    }
  }

  /** Runs a batch; in halves where memory does not suffice and the images are still here. */
  async #together(
    images: readonly ImageInput[],
    options: PredictOptions,
    size: BatchSize,
  ): Promise<(ImagePrediction | Error)[]> {
    try {
      return await detectAll(images, options, this.#detect, this.#sources instanceof Video);
    } catch (error) {
      if (this.#options.batch !== "auto" || options.transfer || images.length === 1 || !isOutOfMemory(error))
        throw error;
      size.tooLarge(images.length);
      const half = Math.ceil(images.length / 2);
      const first = await this.#together(images.slice(0, half), options, size);
      return [...first, ...(await this.#together(images.slice(half), options, size))];
    }
  }

  /** Batches in their order. One is sent ahead, so that its images are decoded while the model works. */
  async *#batches(iterator: AsyncIterator<Source>, signal: AbortSignal): AsyncGenerator<StartedBatch<Source>> {
    const { batch = 1, onError: _, ...options } = this.#options;
    const isLive = this.#sources instanceof Video && this.#sources.isLive;
    const size = new BatchSize(batch === "auto" && isLive ? 1 : batch);
    let before = 0;
    let ahead: StartedBatch<Source> | null = null;
    let sources: Source[] = [];
    const start = (): StartedBatch<Source> => {
      const begin = performance.now();
      const started = { sources, results: this.#together(sources, { ...options, signal }, size) };
      const { length } = sources;
      // A failure is thrown where its batch is awaited.
      const settled = started.results.then(() => size.took(length, performance.now() - Math.max(begin, before)));
      settled
        .catch(() => {})
        .finally(() => {
          before = performance.now();
        });
      sources = [];
      return started;
    };
    /** What became of the sources: those before a failure have their results. */
    let end: { error: unknown } | "open" | "done" = "open";
    while (end === "open") {
      try {
        const { value, done } = await iterator.next();
        if (done) end = "done";
        else sources.push(value);
      } catch (error) {
        end = { error };
      }
      if (sources.length < size.current || end !== "open") continue;
      const next = start();
      if (ahead !== null) yield ahead;
      ahead = next;
    }
    const last = sources.length > 0 ? start() : null;
    if (ahead !== null) yield ahead;
    if (last !== null) yield last;
    if (typeof end === "object") throw end.error;
  }
}

/**
 * What a caller gets of an image.
 * @param every whether an image that cannot be read takes a place in the results
 * @throws the error of the image, unless something else becomes of it
 */
function* delivered<Source extends ImageInput>(
  source: Source,
  result: ImagePrediction | Error,
  onError: NonNullable<PredictManyOptions["onError"]>,
  every: boolean,
): Generator<SourcePrediction<Source>> {
  if (!(result instanceof Error)) return yield { source, ...result };
  if (onError === "throw") throw result;
  if (onError !== "return") onError(result, source);
  const nothing = { source, width: 0, height: 0, detections: [] };
  if (onError === "return") yield { ...nothing, error: result };
  else if (every) yield nothing;
}

interface StartedBatch<Source> {
  sources: Source[];
  results: Promise<(ImagePrediction | Error)[]>;
}

/** The items of an iterable, as one whose items are waited for. */
function iteratorOf<T>(items: Iterable<T> | AsyncIterable<T>): AsyncIterator<T, undefined> {
  if (Symbol.asyncIterator in items) return items[Symbol.asyncIterator]();
  const iterator = items[Symbol.iterator]();
  return {
    next: async () => iterator.next(),
    return: async () => {
      iterator.return?.();
      return { value: undefined, done: true };
    },
  };
}

/**
 * Checks the images of a batch and runs it with those that are images.
 * @param lend whether the images are frames of our own, whose pixels go to the other thread and come back
 */
async function detectAll(
  images: readonly ImageInput[],
  { signal, transfer, ...options }: PredictOptions,
  detect: DetectBatch,
  lend = false,
): Promise<(ImagePrediction | Error)[]> {
  const taking = { signal, transfer: transfer || lend };
  const checked = await Promise.all(images.map((image) => imageSource(image, taking).catch((error: Error) => error)));
  const good = checked.filter((image): image is ImageSource => !(image instanceof Error));
  const found =
    good.length === 0 ? [] : await detect(good, options, signal, lend).finally(() => takeBack(images, checked, lend));
  return checked.map((image) => (image instanceof Error ? image : (found.shift() as ImagePrediction | Error)));
}

/** Gives frames the pixels again that came back in what was sent. */
function takeBack(images: readonly ImageInput[], sent: readonly (ImageSource | Error)[], lend: boolean): void {
  if (!lend) return;
  for (const [i, image] of images.entries()) Object.assign(image, { data: (sent[i] as RawImage).data });
}

/** A promise that is also rejected when a signal is aborted, with the signal's reason. */
async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => {});
  signal.throwIfAborted();
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Predicts one image. @throws PictureError if it cannot be read; the signal's reason when it is aborted */
export async function predictOne(
  image: ImageInput,
  options: PredictOptions,
  detect: DetectBatch,
): Promise<Detection[]> {
  const [result] = await abortable(detectAll([image], options, detect), options.signal);
  if (result instanceof Error) throw result;
  return result.detections;
}

/**
 * Predicts the image that text names, at once. Awaited it is as {@link predictOne}; iterated it is one of many.
 * @param options that were checked, or what throws where they are wrong
 */
export function predictText(image: string, options: () => PredictManyOptions, detect: DetectBatch): TextPredictions {
  const found = (async () => {
    const { onError = "throw", batch: _, ...one } = options();
    const [result] = await abortable(detectAll([image], one, detect), one.signal);
    return { result, onError };
  })();
  const detections = found.then(({ result }) => {
    if (result instanceof Error) throw result;
    return result.detections;
  });
  const iterate = async function* (): AsyncGenerator<SourcePrediction<string>> {
    const { result, onError } = await found;
    yield* delivered(image, result, onError, false);
  };
  return Object.assign(detections, {
    [Symbol.asyncIterator]: () => {
      // Whoever iterates hears of a failure there.
      detections.catch(() => {});
      return iterate();
    },
  });
}
