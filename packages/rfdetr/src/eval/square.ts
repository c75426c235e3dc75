// Resizes decoded images to the square that the model sees, with libtorch where it is faster.
import { noGrad, ops, scope, tensor } from "@rfdetr/torch";
import type { RgbPixels } from "../data/images/rgb.js";
import { type ResizeOptions, resizePixels } from "./pixels.js";

/**
 * Resizes an image to a square: the bytes of {@link resizePixels}.
 * @param side in pixels
 * @returns `[side, side, 3]`: bytes, or without antialias float32 on the scale 0 to 1
 */
export function toSquare(image: RgbPixels, side: number, options: ResizeOptions = {}): Uint8Array | Float32Array {
  if (options.antialias === false) return resizePixels(image, [side, side], options);
  const { data, width, height } = image;
  return noGrad(() =>
    scope(() => ops.resizeRgb(tensor(data, { shape: [height, width, 3] }), side, side).toArray() as Uint8Array),
  );
}
