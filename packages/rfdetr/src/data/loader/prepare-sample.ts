// Prepares one image, from its file to the square that the model sees. Runs in the loader's worker threads.

import type { Mask } from "../../masks/mask.js";
import type { Outline } from "../../masks/outline.js";
import { checkMemory } from "../../support/machine/memory-error.js";
import { Rng } from "../../support/random.js";
import { type Shape, sidesOf } from "../../support/shape.js";
import { type AugConfig, augmentWithCustom } from "../augment/config.js";
import { decodeImage, type Pixels } from "../images/decode.js";
import { resize, type Sample, scaleJitter } from "../images/geometry.js";
import { readImageHeader } from "../images/image-header.js";
import { decodingBytes } from "../images/limits.js";
import { regionMasks } from "../region-masks.js";
import { takeBudget } from "./memory-budget.js";

/** How images are prepared. */
export interface Recipe {
  /** Size of the prepared images in pixels. */
  size: Shape;
  training: boolean;
  scaleJitter: boolean;
  /** What happens to training images after the resize. */
  augment: AugConfig;
  /** Number of the dataset's classes: a custom augmentation that returns a label beyond them is refused. */
  classes?: number;
}

/** An image to prepare. */
export interface Job {
  file: string;
  /** Size that the annotations refer to. */
  width: number;
  height: number;
  /** EXIF orientation that is applied to the decoded pixels; 1 keeps them as stored. */
  orientation: number;
  boxes: Float32Array;
  labels: Int32Array;
  /** Of each object, null for one that has none; absent where the data is without masks. */
  outlines?: (Outline | null)[];
  /** Seeds the random choices of this image in this epoch. */
  seed: readonly (number | string)[];
}

/** A prepared image with its boxes. */
export interface Prepared {
  /** `[height, width, 3]` */
  data: Uint8Array;
  /** `[n × 4]` centre x, centre y, width, height as fractions. */
  boxes: Float32Array;
  labels: Int32Array;
  /** The pixels of each object at the size of the image; absent where the data is without masks. */
  masks?: Mask[];
}

/**
 * Pixels that both sides of a decoded image must have at least: a large JPEG is decoded to a smaller size, which is
 * much faster. 0 means the full size.
 */
export function decodeLeast({ training, size, scaleJitter }: Recipe): number {
  return training ? Math.max(...sidesOf(size), scaleJitter ? 600 : 0) : 0;
}

/** What a thread gets: an image to prepare. */
export interface LoaderJob {
  job: Job;
  /** Its pixels, where they are kept. */
  pixels?: Pixels;
  /** Decoded pixels of at most so many bytes are returned too, in memory that threads share. */
  room?: number;
}

/** What a thread returns. */
export interface LoaderResult {
  prepared: Prepared;
  decoded?: Pixels;
}

/** What each thread may take of the memory of all. */
export interface MemoryShare {
  /** Memory for decoding, see `createBudget`. */
  budget: SharedArrayBuffer;
  /** Bytes of decoded images that are not used any more and not freed yet. */
  garbage: number;
}

/**
 * Decodes the file unless its pixels are given, transforms the image, and normalises its boxes.
 * @param budget memory that decoding may take, see `createBudget`; null where nothing else decodes at the same time
 * @returns `bytes`: the size of the decoded pixels, which are not used any more
 * @throws DataError naming the file; `ERR_MEMORY` if memory runs out
 */
export async function prepare(
  { job, pixels, room = 0 }: LoaderJob,
  recipe: Recipe,
  budget: SharedArrayBuffer | null,
): Promise<LoaderResult & { bytes: number }> {
  if (pixels !== undefined) return { prepared: await transform(job, recipe, pixels), bytes: 0 };
  const header = readImageHeader(job.file);
  const options = { orientation: job.orientation, atLeast: decodeLeast(recipe) };
  const bytes = decodingBytes(header, options.orientation, options.atLeast);
  const giveBack = budget === null ? null : takeBudget(budget, bytes);
  try {
    const decoded = await decodeImage(job.file, header, options);
    const prepared = await transform(job, recipe, decoded);
    const { length } = decoded.data;
    if (length > room) return { prepared, bytes: length };
    return { prepared, bytes: length, decoded: { ...decoded, data: shared(decoded.data) } };
  } catch (error) {
    checkMemory(error, `prepare ${job.file}`);
    throw error;
  } finally {
    giveBack?.();
  }
}

function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

async function transform(job: Job, recipe: Recipe, decoded: Pixels): Promise<Prepared> {
  // The image may be decoded smaller, or annotated at another size: boxes are scaled to the pixels.
  const boxes = Float32Array.from(job.boxes, (c, i) =>
    i % 2 === 0 ? (c * decoded.width) / job.width : (c * decoded.height) / job.height,
  );
  const { data, width, height } = decoded;
  // Masks are resized from the annotated size at once, so that a smaller image does not make them coarser.
  const masks = regionMasks(job, job.height, job.width);
  const whole: Sample = { data, width, height, boxes, labels: job.labels, ...(masks === null ? {} : { masks }) };
  const [toHeight, toWidth] = sidesOf(recipe.size);
  let sample: Sample;
  if (recipe.training) {
    const rng = new Rng(...job.seed);
    const { scaleJitter: jitters, augment, classes } = recipe;
    const resized = jitters ? scaleJitter(whole, toWidth, toHeight, rng) : resize(whole, toWidth, toHeight);
    // A quarter turn makes a standing rectangle of a lying one.
    sample = resize(await augmentWithCustom(resized, augment, rng, classes), toWidth, toHeight);
  } else sample = resize(whole, toWidth, toHeight);
  const fractions = new Float32Array(sample.boxes.length);
  for (let i = 0; i < fractions.length; i += 4) {
    const [l, t, r, b] = sample.boxes.subarray(i, i + 4);
    fractions.set([(l + r) / 2 / toWidth, (t + b) / 2 / toHeight, (r - l) / toWidth, (b - t) / toHeight], i);
  }
  // The caller may transfer the bytes to another thread, so cached pixels are copied.
  return {
    data: sample.data === data ? new Uint8Array(data) : sample.data,
    boxes: fractions,
    labels: sample.labels,
    ...(masks === null ? {} : { masks: sample.masks }),
  };
}
