// Prepares one image, from its file to the square that the model sees. Runs in the loader's worker threads.

import { Rng } from "../../support/random.js";
import { type AugConfig, augment } from "../augment/config.js";
import { decodeFile, type Pixels } from "../images/decode.js";
import { resize, type Sample, scaleJitter } from "../images/geometry.js";

/** How images are prepared. */
export interface Recipe {
  /** Side of the square in pixels. */
  side: number;
  training: boolean;
  scaleJitter: boolean;
  /** What happens to training images after the resize. */
  augment: AugConfig;
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
  /** Seeds the random choices of this image in this epoch. */
  seed: readonly (number | string)[];
}

/** A prepared image with its boxes. */
export interface Prepared {
  /** `[side, side, 3]` */
  data: Uint8Array;
  /** `[n × 4]` centre x, centre y, width, height as fractions. */
  boxes: Float32Array;
  labels: Int32Array;
}

/**
 * Pixels that both sides of a decoded image must have at least: a large JPEG is decoded to a smaller size, which is
 * much faster. 0 means the full size.
 */
export function decodeLeast({ training, side, scaleJitter }: Recipe): number {
  return training ? Math.max(side, scaleJitter ? 600 : 0) : 0;
}

/**
 * Decodes the file unless `pixels` are given, transforms the image, and normalises its boxes.
 * @throws DataError naming the file
 */
export async function prepare(job: Job, recipe: Recipe, pixels?: Pixels): Promise<Prepared> {
  const decoded =
    pixels ?? (await decodeFile(job.file, { orientation: job.orientation, atLeast: decodeLeast(recipe) }));
  // The image may be decoded smaller, or annotated at another size: boxes are scaled to the pixels.
  const boxes = Float32Array.from(job.boxes, (c, i) =>
    i % 2 === 0 ? (c * decoded.width) / job.width : (c * decoded.height) / job.height,
  );
  const whole: Sample = { ...decoded, boxes, labels: job.labels };
  const { side } = recipe;
  let sample: Sample;
  if (recipe.training) {
    const rng = new Rng(...job.seed);
    sample = augment(scaleJitter(whole, side, rng, recipe.scaleJitter), recipe.augment, rng);
  } else sample = resize(whole, side, side);
  const fractions = new Float32Array(sample.boxes.length);
  for (let i = 0; i < fractions.length; i += 4) {
    const [l, t, r, b] = sample.boxes.subarray(i, i + 4);
    fractions.set([(l + r) / 2 / side, (t + b) / 2 / side, (r - l) / side, (b - t) / side], i);
  }
  // The caller may transfer the bytes to another thread, so cached pixels are copied.
  return {
    data: sample.data === decoded.data ? new Uint8Array(sample.data) : sample.data,
    boxes: fractions,
    labels: sample.labels,
  };
}
