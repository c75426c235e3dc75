// Resized, cut and flipped masks: each pixel is one of the mask that it comes from.
import { decodeMask, type Mask, maskOfBounds } from "./mask.js";
import { segmentsOf } from "./segments.js";

/**
 * A mask whose pixel at row y and column x is the one at `rows[y]` and `columns[x]` of another. It goes from runs to
 * runs.
 * @param rows ascending, or descending
 */
export function gatherMask(mask: Mask, rows: Int32Array, columns: Int32Array): Mask {
  const { height, width } = { height: rows.length, width: columns.length };
  const { first, tops, bottoms } = segmentsOf(mask);
  // [y]: rows of the result that come from above row y.
  const above = new Int32Array(mask.height + 1);
  for (const row of rows) above[row + 1]++;
  for (let y = 0; y < mask.height; y++) above[y + 1] += above[y];
  const down = height < 2 || rows[height - 1] >= rows[0];
  const bounds: number[] = [];
  for (let x = 0; x < width; x++) {
    const [from, to] = [first[columns[x]], first[columns[x] + 1]];
    if (down) for (let i = from; i < to; i++) bounds.push(x * height + above[tops[i]], x * height + above[bottoms[i]]);
    else
      for (let i = to - 1; i >= from; i--) {
        const next = (x + 1) * height;
        bounds.push(next - above[bottoms[i]], next - above[tops[i]]);
      }
  }
  return maskOfBounds(bounds, height, width);
}

/**
 * The pixel that each of `to` pixels in a row comes from when `from` pixels are resized, the nearest as PyTorch has it:
 * that at the left of the pixel, computed in float32. Source: `torch.nn.functional.interpolate` with mode "nearest".
 */
export function nearestPixels(from: number, to: number): Int32Array {
  const scale = Math.fround(from / to);
  return Int32Array.from({ length: to }, (_, i) => Math.min(from - 1, Math.floor(Math.fround(scale * i))));
}

/** Each index from 0 on, or down to 0. */
const ascending = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);
const descending = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => length - 1 - i);

/** Flips a mask left and right. */
export const mirrorMask = (mask: Mask): Mask => gatherMask(mask, ascending(mask.height), descending(mask.width));

/** Flips a mask top and bottom. */
export const invertMask = (mask: Mask): Mask => gatherMask(mask, descending(mask.height), ascending(mask.width));

/** Swaps the rows and columns of a mask. */
export function transposeMask(mask: Mask): Mask {
  // Rows of bits are the columns of the result, in which runs are counted.
  const bits = decodeMask(mask);
  const bounds: number[] = [];
  for (let i = 0; i < bits.length; i++) if (bits[i] !== (i === 0 ? 0 : bits[i - 1])) bounds.push(i);
  return maskOfBounds(bounds, mask.width, mask.height);
}

/** A mask at another size, as the Python package resizes those of training images. */
export function resampleMask(mask: Mask, height: number, width: number): Mask {
  if (mask.height === height && mask.width === width) return mask;
  return gatherMask(mask, nearestPixels(mask.height, height), nearestPixels(mask.width, width));
}
