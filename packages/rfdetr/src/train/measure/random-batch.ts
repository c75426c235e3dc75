// Images of noise with random boxes, to measure steps without data.
import { rand, scope } from "@rfdetr/torch";
import type { Target } from "../../data/target.js";
import type { Mask } from "../../masks/mask.js";
import { type Shape, sidesOf } from "../../support/shape.js";
import type { MicroBatch } from "../step/step-parts.js";

/**
 * Images of noise with random boxes. They depend only on libtorch's seed.
 * @param size in pixels; @param objects boxes per image; @param masks whether an ellipse fills each box, as a model
 * with a segmentation head needs it
 */
export function randomBatch(batch: number, size: Shape, classes: number, objects = 8, masks = false): MicroBatch {
  return scope(() => {
    const [height, width] = sidesOf(size);
    const bytes = rand([batch * height * width * 3])
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
      const ellipses =
        masks && Array.from(labels, (_, i) => ellipse([height, width], boxes.subarray(i * 4, i * 4 + 4)));
      return { labels, boxes, imageId, ...(ellipses && { masks: ellipses }) };
    });
    return { images: Uint8Array.from(bytes), height, width, targets };
  });
}

/** The largest ellipse in a box, given by centre and size as fractions of the image. */
function ellipse([height, width]: readonly [number, number], [x, y, boxWidth, boxHeight]: Float32Array): Mask {
  const counts: number[] = [];
  let background = 0;
  for (let column = 0; column < width; column++) {
    const across = ((column + 0.5) / width - x) / (boxWidth / 2);
    const half = (Math.sqrt(Math.max(0, 1 - across * across)) * boxHeight) / 2;
    const top = Math.ceil((y - half) * height - 0.5);
    const rows = Math.ceil((y + half) * height - 0.5) - top;
    if (rows > 0) {
      counts.push(background + top, rows);
      background = height - top - rows;
    } else background += height;
  }
  return { height, width, counts: Uint32Array.from([...counts, background]) };
}
