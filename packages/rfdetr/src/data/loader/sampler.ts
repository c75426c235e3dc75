// The images of an epoch, in their order.
import { Rng } from "../../support/random.js";
import { type Sampling, sumOf } from "./repeat-factors.js";

/** What the order of the images of an epoch depends on. */
export interface EpochOrderOptions {
  /** Images of an optimizer step. */
  effectiveBatch: number;
  /** The seed of the run. */
  seed: number;
  /** From 0. */
  epoch: number;
  /** How often each image comes; default null, once. */
  sampling?: Sampling | null;
}

/**
 * Indices of the images of one epoch (`rfdetr.training.module_data`). A dataset of fewer than five effective batches
 * gives five batches drawn with replacement. Otherwise every image comes once, in random order, and the last batch is
 * filled up with images that are drawn once for the whole run. No image is dropped.
 * @param images their number
 */
export function epochOrder(
  images: number,
  { effectiveBatch, seed, epoch, sampling = null }: EpochOrderOptions,
): Int32Array {
  const rng = new Rng("order", seed, epoch);
  const places = epochPlaces(images, effectiveBatch, sampling);
  if (sampling !== null) return Int32Array.from(rng.shuffle(drawn(sampling, places, rng)));
  if (images < 5 * effectiveBatch) return Int32Array.from({ length: places }, () => rng.integer(0, images - 1));
  const extra = new Rng("extra", seed);
  const order = Array.from({ length: images }, (_, i) => i);
  while (order.length < places) order.push(extra.integer(0, images - 1));
  return Int32Array.from(rng.shuffle(order));
}

/** Places in the order of an epoch: whole effective batches, five at least. */
export function epochPlaces(images: number, effectiveBatch: number, sampling: Sampling | null = null): number {
  const wanted = sampling === null ? images : Math.round(sumOf(sampling.factors));
  return effectiveBatch * Math.max(5, Math.ceil(wanted / effectiveBatch));
}

/**
 * Images for so many places, by systematic sampling: an image with factor f comes ⌊f⌋ or ⌈f⌉ times, f times on average
 * over epochs, and each part of the data has its share of the places to within one.
 */
function drawn({ factors, parts }: Sampling, places: number, rng: Rng): number[] {
  const scale = places / sumOf(factors);
  const start = rng.next();
  const order: number[] = [];
  let end = 0;
  for (const { from, to } of parts)
    for (const image of rng.shuffle(Array.from({ length: to - from }, (_, i) => from + i))) {
      end += factors[image] * scale;
      while (order.length < Math.min(places, Math.ceil(end - start))) order.push(image);
    }
  // The sum may miss the number of places by a rounding error.
  while (order.length < places) order.push(order[order.length - 1]);
  return order;
}
