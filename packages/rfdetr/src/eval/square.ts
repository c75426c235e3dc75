// Resizes decoded images to the square that the model sees, with libtorch where it is faster.
import { noGrad, ops, scope, tensor } from "@rfdetr/torch";
import type { RgbPixels } from "../data/images/rgb.js";
import { type Shape, sidesOf } from "../support/shape.js";
import { type ResizeOptions, resizePixels } from "./pixels.js";

/**
 * Resizes an image to a square, or another shape: the bytes of {@link resizePixels}.
 * @param shape side of the square, or height and width, in pixels
 * @returns `[height, width, 3]`: bytes, or without antialias float32 on the scale 0 to 1
 */
export function toSquare(image: RgbPixels, shape: Shape, options: ResizeOptions = {}): Uint8Array | Float32Array {
  const [toHeight, toWidth] = sidesOf(shape);
  if (options.antialias === false) return resizePixels(image, [toHeight, toWidth], options);
  const { data, width, height } = image;
  return noGrad(() =>
    scope(() => ops.resizeRgb(tensor(data, { shape: [height, width, 3] }), toHeight, toWidth).toArray() as Uint8Array),
  );
}
