// Images of noise with random boxes, to measure steps without data.
import { rand, scope } from "@rfdetr/torch";
import type { Target } from "../../data/target.js";
import type { Mask } from "../../masks/mask.js";
import type { MicroBatch } from "../step/step-parts.js";

/**
 * Images of noise with random boxes. They depend only on libtorch's seed.
 * @param side side length in pixels; @param objects boxes per image; @param masks whether an ellipse fills each box, as
 * a model with a segmentation head needs it
 */
export function randomBatch(batch: number, side: number, classes: number, objects = 8, masks = false): MicroBatch {
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
      const ellipses = masks && Array.from(labels, (_, i) => ellipse(side, boxes.subarray(i * 4, i * 4 + 4)));
      return { labels, boxes, imageId, ...(ellipses && { masks: ellipses }) };
    });
    return { images: Uint8Array.from(bytes), height: side, width: side, targets };
  });
}

/** The largest ellipse in a box, given by centre and size as fractions of a square image. */
function ellipse(side: number, [x, y, width, height]: Float32Array): Mask {
  const counts: number[] = [];
  let background = 0;
  for (let column = 0; column < side; column++) {
    const across = ((column + 0.5) / side - x) / (width / 2);
    const half = (Math.sqrt(Math.max(0, 1 - across * across)) * height) / 2;
    const top = Math.ceil((y - half) * side - 0.5);
    const rows = Math.ceil((y + half) * side - 0.5) - top;
    if (rows > 0) {
      counts.push(background + top, rows);
      background = side - top - rows;
    } else background += side;
  }
  return { height: side, width: side, counts: Uint32Array.from([...counts, background]) };
}
