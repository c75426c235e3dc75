// Resizes decoded images to the square that the model sees, in the two ways of the Python package.
import { noGrad, ops, scope, tensor } from "@rfdetr/torch";
import type { RgbPixels } from "../data/images/rgb.js";
import { imagesToTensor, resizeImages } from "../model/preprocess.js";

/** How images are resized. */
export interface ResizeOptions {
  /**
   * Whether a pixel of the resized image averages all the pixels that it covers; default true. So images are resized
   * in training and evaluation (`PIL.Image.resize`), and figures such as AP hold for it. With false, each pixel is
   * interpolated between its four neighbours, as `RFDETR.predict` of the Python package does.
   */
  antialias?: boolean;
}

/**
 * Resizes an image to a square.
 * @param side in pixels
 * @returns `[side, side, 3]`: bytes, or without antialias float32 on the scale 0 to 1
 */
export function toSquare(
  { data, width, height }: RgbPixels,
  side: number,
  { antialias = true }: ResizeOptions = {},
): Uint8Array | Float32Array {
  return noGrad(() =>
    scope(() => {
      if (antialias)
        return ops.resizeRgb(tensor(data, { shape: [height, width, 3] }), side, side).toArray() as Uint8Array;
      const resized = resizeImages(imagesToTensor(data, 1, height, width), side, side);
      return ops.contiguous(resized.permute(0, 2, 3, 1)).toArray() as Float32Array;
    }),
  );
}

/** Squares of one kind, one after another. @returns `[B, side, side, 3]` */
export function joinSquares(squares: readonly (Uint8Array | Float32Array)[]): Uint8Array | Float32Array {
  const [first] = squares;
  const joined =
    first instanceof Uint8Array
      ? new Uint8Array(first.length * squares.length)
      : new Float32Array(first.length * squares.length);
  squares.forEach((square, i) => {
    joined.set(square, i * square.length);
  });
  return joined;
}
