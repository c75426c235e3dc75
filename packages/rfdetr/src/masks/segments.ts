// Masks column by column: how they are moved and resized without a byte for each pixel.
import { type Mask, maskOfBounds } from "./mask.js";

/** The object in each column of a mask: pieces from a row on, up to another that is outside. */
export interface Segments {
  /** `[width + 1]`: the first piece of each column, and the number of all. */
  first: Uint32Array;
  tops: readonly number[];
  bottoms: readonly number[];
}

/** Cuts the runs of a mask at the ends of its columns. */
export function segmentsOf({ height, width, counts }: Mask): Segments {
  const first = new Uint32Array(width + 1);
  const tops: number[] = [];
  const bottoms: number[] = [];
  let at = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = at + counts[i];
    if (i % 2 === 0) at = end;
    while (at < end) {
      const column = Math.floor(at / height);
      const stop = Math.min(end, (column + 1) * height);
      tops.push(at - column * height);
      bottoms.push(stop - column * height);
      first[column + 1] = tops.length;
      at = stop;
    }
  }
  for (let x = 1; x <= width; x++) first[x] = Math.max(first[x], first[x - 1]);
  return { first, tops, bottoms };
}

/**
 * A mask as a part of a larger one, whose other pixels are background.
 * @param left column of the larger one where it begins, and `top` row; it ends inside
 */
export function placeMask(mask: Mask, left: number, top: number, height: number, width: number): Mask {
  const { first, tops, bottoms } = segmentsOf(mask);
  const bounds: number[] = [];
  for (let x = 0; x < mask.width; x++) {
    const column = (left + x) * height + top;
    for (let i = first[x]; i < first[x + 1]; i++) bounds.push(column + tops[i], column + bottoms[i]);
  }
  return maskOfBounds(bounds, height, width);
}

/** A mask at another size: each pixel is that at the same place of the given one (nearest). */
export function resizeMask(mask: Mask, height: number, width: number): Mask {
  if (mask.height === height && mask.width === width) return mask;
  const bounds: number[] = [];
  eachPiece(mask, { height, width }, [0, 0, width, height], (x, top, bottom) => {
    bounds.push(x * height + top, x * height + bottom);
  });
  return maskOfBounds(bounds, height, width);
}

/** A part of an image in pixels: left, top, right, bottom. */
export type Window = readonly [left: number, top: number, right: number, bottom: number];

/**
 * The bits of a part of a mask, which is brought to another size first, as {@link resizeMask} does.
 * @param size that the mask is brought to
 * @param window in pixels of that size, inside of it
 * @returns `[bottom − top, right − left]`, row by row: 1 for the object, 0 for the background
 */
export function maskWindow(mask: Mask, size: { height: number; width: number }, window: Window): Uint8Array {
  const [left, top, right, bottom] = window;
  const columns = right - left;
  const bits = new Uint8Array(columns * (bottom - top));
  eachPiece(mask, size, window, (x, from, to) => {
    for (let at = (from - top) * columns + x - left, end = (to - top) * columns; at < end; at += columns) bits[at] = 1;
  });
  return bits;
}

/** Calls back for each piece of each column of a window of the resized mask. */
function eachPiece(
  mask: Mask,
  { height, width }: { height: number; width: number },
  [left, top, right, bottom]: Window,
  visit: (x: number, top: number, bottom: number) => void,
): void {
  const { first, tops, bottoms } = segmentsOf(mask);
  // Row y shows the given row that the middle of y falls into.
  const row = (given: number): number => Math.ceil((given * height) / mask.height - 0.5);
  for (let x = left; x < right; x++) {
    const column = Math.min(mask.width - 1, Math.floor(((x + 0.5) * mask.width) / width));
    for (let i = first[column]; i < first[column + 1]; i++) {
      const [from, to] = [Math.max(top, row(tops[i])), Math.min(bottom, row(bottoms[i]))];
      if (from < to) visit(x, from, to);
    }
  }
}
