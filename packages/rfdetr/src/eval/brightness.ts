// How bright the images of a batch are.
import type { EvaluationBatch } from "./batch.js";

/** Every fourth pixel of every fourth row tells as much, in a sixteenth of the time. */
const STEP = 4;

/**
 * Mean brightness of an image at the model's size, 0 to 1: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), of every fourth
 * pixel in every fourth row.
 */
export function brightnessOf({ images, height, width }: EvaluationBatch, index: number): number {
  const start = index * height * width * 3;
  let [red, green, blue, count] = [0, 0, 0, 0];
  for (let y = 0; y < height; y += STEP)
    for (let x = 0; x < width; x += STEP) {
      const at = start + (y * width + x) * 3;
      red += images[at];
      green += images[at + 1];
      blue += images[at + 2];
      count++;
    }
  const mean = (0.299 * red + 0.587 * green + 0.114 * blue) / count;
  return images instanceof Uint8Array ? mean / 255 : mean;
}
