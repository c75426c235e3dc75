// Images of noise with random boxes, to measure steps without data.
import { rand, scope } from "@rfdetr/torch";
import type { Target } from "../../data/target.js";
import type { MicroBatch } from "../step/step-parts.js";

/**
 * Images of noise with random boxes. They depend only on libtorch's seed.
 * @param side side length in pixels; @param objects boxes per image
 */
export function randomBatch(batch: number, side: number, classes: number, objects = 8): MicroBatch {
  return scope(() => {
    const bytes = rand([batch * side * side * 3])
      .mul(256)
      .floor()
      .toArray() as Float32Array;
    const targets = Array.from({ length: batch }, (_, imageId): Target => {
      const numbers = rand([objects, 5]).toArray() as Float32Array;
      const labels = new Int32Array(objects);
      const boxes = new Float32Array(objects * 4);
      for (let i = 0; i < objects; i++) {
        const [w, h] = [numbers[i * 5] * 0.3 + 0.05, numbers[i * 5 + 1] * 0.3 + 0.05];
        boxes.set([numbers[i * 5 + 2] * (1 - w) + w / 2, numbers[i * 5 + 3] * (1 - h) + h / 2, w, h], i * 4);
        labels[i] = Math.min(classes - 1, Math.floor(numbers[i * 5 + 4] * classes));
      }
      return { labels, boxes, imageId };
    });
    return { images: Uint8Array.from(bytes), height: side, width: side, targets };
  });
}
