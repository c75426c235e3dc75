// Which images an epoch shows, and in which order.
import { Rng } from "../../support/random.js";

/**
 * Indices of one epoch. Fewer than five effective batches of images: five batches drawn with replacement. Otherwise every image once, in
 * random order, filled up to whole effective batches with images drawn once for the whole run: nothing is dropped.
 * `rfdetr.training.module_data`.
 */
export function epochOrder(images: number, effectiveBatch: number, seed: number, epoch: number): Int32Array {
  const rng = new Rng("order", seed, epoch);
  if (images < 5 * effectiveBatch) return Int32Array.from({ length: 5 * effectiveBatch }, () => rng.integer(0, images - 1));
  const extra = new Rng("extra", seed);
  const order = Array.from({ length: images }, (_, i) => i);
  while (order.length % effectiveBatch !== 0) order.push(extra.integer(0, images - 1));
  return Int32Array.from(rng.shuffle(order));
}
