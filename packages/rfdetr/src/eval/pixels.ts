// Resizes decoded images to the size that a model sees, in the two ways of the Python package. No import of Node.
import { interpolate } from "../data/images/interpolate.js";
import { pillowResize } from "../data/images/pillow-resize.js";
import type { RgbPixels } from "../data/images/rgb.js";

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
 * Resizes an image, without libtorch.
 * @param size in pixels
 * @returns `[height, width, 3]`: bytes, or without antialias float32 on the scale 0 to 1
 */
export function resizePixels(
  { data, width, height }: RgbPixels,
  [toHeight, toWidth]: readonly [height: number, width: number],
  { antialias = true }: ResizeOptions = {},
): Uint8Array | Float32Array {
  return antialias
    ? pillowResize(data, width, height, toWidth, toHeight)
    : interpolate(data, width, height, toWidth, toHeight);
}

/** Images of one size and kind, one after another. @returns `[B, height, width, 3]` */
export function joinPixels(images: readonly (Uint8Array | Float32Array)[]): Uint8Array | Float32Array {
  const [first] = images;
  const joined =
    first instanceof Uint8Array
      ? new Uint8Array(first.length * images.length)
      : new Float32Array(first.length * images.length);
  images.forEach((image, i) => {
    joined.set(image, i * image.length);
  });
  return joined;
}
