// How large a picture may be, and at what size it is decoded.
import { DataError } from "../../support/errors.js";
import { type ImageHeader, type Size, uprightSize } from "./image-header.js";

/** Pixels that a picture may have: 268 megapixels, as many as sharp decodes by default. */
const mostPixels = 0x3fff ** 2;

/** Pixels that are decoded in full: 67 megapixels, which are 192 MiB of RGB bytes. */
export const fullPixels = 2 ** 26;

/** @throws DataError naming the limit if a picture is larger */
export function checkPixels({ width, height }: Size, name: string): void {
  if (width * height > mostPixels)
    throw new DataError(
      `Expected a picture of at most ${Math.floor(mostPixels / 1e6)} megapixels but ${name} has ` +
        `${Math.round((width * height) / 1e6)} (${width}×${height}): scale it down, or cut it into tiles`,
    );
}

/**
 * The whole number by which both sides are divided while a picture is decoded. A JPEG is decoded at ½, ¼ or ⅛ if both
 * sides still have `atLeast` pixels; 0 asks for all of it. A picture of more than 67 megapixels is decoded at ½ or
 * less in any case, so that its memory is bounded.
 */
export function shrinkFactor({ format, width, height }: ImageHeader, atLeast: number): number {
  let factor =
    format === "JPEG" && atLeast > 0
      ? ([8, 4, 2].find((f) => f <= Math.min(Math.floor(width / atLeast), Math.floor(height / atLeast))) ?? 1)
      : 1;
  while (Math.ceil(width / factor) * Math.ceil(height / factor) > fullPixels) factor *= 2;
  return factor;
}

/**
 * Bytes that decoding takes, about: the RGB bytes, a second copy where they are turned, and the coefficients of a
 * progressive JPEG or the rows of an interlaced PNG, which decoders hold for the whole picture.
 */
export function decodingBytes(header: ImageHeader, orientation: number, atLeast: number): number {
  const pixels = header.width * header.height;
  const factor = shrinkFactor(header, atLeast);
  return 3 * pixels + (3 * (orientation === 1 ? 1 : 2) * pixels) / (factor * factor);
}

/** The size of a decoded picture in the frame that an orientation gives, before it is made smaller. */
export const turnedSize = ({ width, height }: Size, orientation: number): Size =>
  uprightSize({ width, height, orientation });
