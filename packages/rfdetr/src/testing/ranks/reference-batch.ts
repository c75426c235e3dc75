// The images and boxes of tools/reference/training_goldens.py.
import type { Target } from "../../data/target.js";
import { uniforms } from "../../instruments/peers/deterministic-fill.js";
import { encodeMask, type Mask } from "../../masks/mask.js";

/** The bytes of an image, `[side, side, 3]`. */
export function referencePixels(number: number, side: number): Uint8Array {
  const bytes = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      for (let c = 0; c < 3; c++)
        bytes[(y * side + x) * 3 + c] =
          (x * (2 + (number % 5)) + y * (3 + c) + ((x * y) >> 2) * (1 + c) + 31 * number) & 255;
  return bytes;
}

/** The boxes of an image: 0 to 3 where their number is not given. */
export function referenceTarget(number: number, count = (number * 5 + 2) % 4): Target {
  const u = Float32Array.from(uniforms(`boxes${number}`, count * 4));
  const boxes = u.map((v, i) =>
    i % 4 < 2 ? 0.5 + Math.fround(0.25 * v) : Math.fround(0.3) + Math.fround(Math.fround(0.2) * v),
  );
  return { imageId: number, labels: Int32Array.from({ length: count }, (_, k) => (7 * k + 3 * number + 1) % 8), boxes };
}

/** The masks of the boxes of an image, as in tools/reference/mask_training_goldens.py: squares with holes. */
export function referenceMasks(number: number, side: number, count = (number * 5 + 2) % 4): Mask[] {
  return Array.from({ length: count }, (_, k) => {
    const [top, left] = [(5 * number + 11 * k) % 48, (3 * number + 17 * k) % 48];
    const bits = Uint8Array.from({ length: side * side }, (_, i) => {
      const [y, x] = [Math.floor(i / side), i % side];
      return Number(y >= top && y < top + 40 && x >= left && x < left + 40 && (x * y) % 5 > 0);
    });
    return encodeMask(bits, side, side);
  });
}

/**
 * Both images of a micro-batch, `[2, 3, side, side]`, in the roundings of the reference: float32 up to the resize.
 */
export function referenceImages(microBatch: number, side: number): Float32Array {
  const [mean, deviation] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ].map((list) => list.map(Math.fround));
  const out = new Float32Array(2 * 3 * side * side);
  for (let b = 0; b < 2; b++) {
    const bytes = referencePixels(2 * microBatch + b, side);
    for (let c = 0; c < 3; c++)
      for (let i = 0; i < side * side; i++)
        out[(b * 3 + c) * side * side + i] = Math.fround(Math.fround(bytes[i * 3 + c] / 255) - mean[c]) / deviation[c];
  }
  return out;
}
