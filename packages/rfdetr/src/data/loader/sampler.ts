// The images of an epoch, in their order.
import { Rng } from "../../support/random.js";

/**
 * Indices of the images of one epoch (`rfdetr.training.module_data`). A dataset of fewer than five effective batches
 * gives five batches drawn with replacement. Otherwise every image comes once, in random order, and the last batch is
 * filled up with images that are drawn once for the whole run. No image is dropped.
 */
export function epochOrder(images: number, effectiveBatch: number, seed: number, epoch: number): Int32Array {
  const rng = new Rng("order", seed, epoch);
  if (images < 5 * effectiveBatch)
    return Int32Array.from({ length: 5 * effectiveBatch }, () => rng.integer(0, images - 1));
  const extra = new Rng("extra", seed);
  const order = Array.from({ length: images }, (_, i) => i);
  while (order.length % effectiveBatch !== 0) order.push(extra.integer(0, images - 1));
  return Int32Array.from(rng.shuffle(order));
}
