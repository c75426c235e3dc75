// Resized images to the input of an exported file, without libtorch: the floats that `model/images/preprocess.ts` makes
// with it. No import of Node.
import type { Preprocessing } from "./metadata.js";

/**
 * Normalises images of one size, in float32 arithmetic: subtracts the mean of each channel and divides by its standard
 * deviation.
 * @param images each `[height, width, 3]`: bytes, or float32 on the scale 0 to 1
 * @returns `[B, 3, height, width]`
 */
export function toPlanes(
  images: readonly (Uint8Array | Float32Array)[],
  { mean, std }: Pick<Preprocessing, "mean" | "std">,
): Float32Array<ArrayBuffer> {
  const pixels = images[0].length / 3;
  const out = new Float32Array(images.length * pixels * 3);
  const { fround } = Math;
  for (let c = 0; c < 3; c++) {
    const [centre, deviation] = [fround(mean[c]), fround(std[c])];
    const normalised = (value: number): number => fround(fround(value - centre) / deviation);
    const table = Float32Array.from({ length: 256 }, (_, byte) => normalised(fround(byte / 255)));
    images.forEach((image, i) => {
      const plane = out.subarray((i * 3 + c) * pixels, (i * 3 + c + 1) * pixels);
      if (image instanceof Float32Array) for (let at = 0; at < pixels; at++) plane[at] = normalised(image[at * 3 + c]);
      else for (let at = 0; at < pixels; at++) plane[at] = table[image[at * 3 + c]];
    });
  }
  return out;
}
