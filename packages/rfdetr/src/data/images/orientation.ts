// EXIF orientation: which one to apply, and applying it.
import { type ImageHeader, type Size, uprightSize } from "./image-header.js";
import type { Region } from "./region.js";
import type { RgbPixels } from "./rgb.js";

/**
 * The EXIF orientation to apply when an image is decoded, so that its pixels are in the frame that its annotations
 * refer to. The frame is the upright one, unless the annotated size shows that it is the stored one: width and height
 * are exchanged by orientations 5 to 8, so the size tells there, except for squares. A size of another scale tells by
 * its aspect. Orientations 2 to 4 keep the size.
 * @param annotated size that the annotations give, in pixels; null where they give none
 * @returns 1 for the stored pixels, else the image's orientation
 */
export function chooseOrientation(header: Omit<ImageHeader, "format">, annotated: Size | null): number {
  if (annotated === null || header.orientation < 5) return header.orientation;
  const upright = uprightSize(header);
  if (equal(annotated, upright)) return header.orientation;
  if (equal(annotated, header)) return 1;
  return sameAspect(annotated, header) && !sameAspect(annotated, upright) ? 1 : header.orientation;
}

const equal = (a: Size, b: Size): boolean => a.width === b.width && a.height === b.height;

/** Whether `a` is `b` at another scale, up to a pixel of rounding. */
function sameAspect(a: Size, b: Size): boolean {
  return (
    Math.abs((a.width * b.height) / b.width - a.height) <= 1 || Math.abs((a.height * b.width) / b.height - a.width) <= 1
  );
}

/** Where the stored row (or, when swapped, column) is counted from the other side. */
const fromRight = (orientation: number): boolean => [2, 3, 7, 8].includes(orientation);
const fromBottom = (orientation: number): boolean => [3, 4, 6, 7].includes(orientation);

/**
 * The stored pixels that a part of the upright picture is made of.
 * @param stored size of the stored picture
 */
export function storedRegion({ left, top, width, height }: Region, stored: Size, orientation: number): Region {
  const part = orientation >= 5 ? { left: top, top: left, width: height, height: width } : { left, top, width, height };
  return {
    ...part,
    left: fromRight(orientation) ? stored.width - part.left - part.width : part.left,
    top: fromBottom(orientation) ? stored.height - part.top - part.height : part.top,
  };
}

/** The orientation that turns upright pixels back to the stored ones. */
export const inverse = (orientation: number): number => (orientation === 6 ? 8 : orientation === 8 ? 6 : orientation);

/** Turns stored pixels to the upright picture (EXIF 2.32, section 4.6.4, tag 274). Orientation 1 changes nothing. */
export function orient({ data, width, height }: RgbPixels, orientation: number): RgbPixels {
  if (orientation === 1) return { data, width, height };
  const swap = orientation >= 5;
  const size: Size = swap ? { width: height, height: width } : { width, height };
  const [right, bottom] = [fromRight(orientation), fromBottom(orientation)];
  const out = new Uint8Array(data.length);
  let to = 0;
  for (let y = 0; y < size.height; y++)
    for (let x = 0; x < size.width; x++, to += 3) {
      const [column, row] = swap ? [y, x] : [x, y];
      const from = ((bottom ? height - 1 - row : row) * width + (right ? width - 1 - column : column)) * 3;
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    }
  return { data: out, ...size };
}
