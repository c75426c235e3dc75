// The mask of an object: runs of pixels, as COCO stores them (Lin et al. 2014, arXiv:1405.0312; `maskApi` of its API).
import { UsageError } from "../support/errors.js";

/**
 * The pixels of one object. A mask is some hundred numbers where its bits would be a byte for each pixel of the image.
 */
export interface Mask {
  /** Of the image, in pixels. */
  height: number;
  width: number;
  /**
   * Lengths of runs, down the columns from the left one on: background, object, background and so on. They add up to
   * height · width. The first may be 0.
   */
  counts: Uint32Array;
}

/** Most pixels of an image that a mask can have: its counts have 32 bits. */
export const mostMaskPixels = 2 ** 32 - 1;

/**
 * Makes a mask of bits.
 * @param bits `[height × width]`, row by row; everything but 0 is the object
 * @example
 * import { encodeMask } from "rfdetr/masks";
 * const { counts } = encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2); // 2, 2
 */
export function encodeMask(bits: ArrayLike<number>, height: number, width: number): Mask {
  const counts: number[] = [];
  let [run, value] = [0, 0];
  for (let x = 0; x < width; x++)
    for (let y = 0, at = x; y < height; y++, at += width) {
      const bit = bits[at] === 0 ? 0 : 1;
      if (bit !== value) {
        counts.push(run);
        [run, value] = [0, bit];
      }
      run++;
    }
  counts.push(run);
  return { height, width, counts: Uint32Array.from(counts) };
}

/**
 * The bits of a mask.
 * @returns `[height × width]`, row by row: 1 for the object, 0 for the background
 *
 * @example
 * const bits = decodeMask(encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2)); // 0, 1, 0, 1
 */
export function decodeMask({ height, width, counts }: Mask): Uint8Array {
  const bits = new Uint8Array(height * width);
  let [x, y] = [0, 0];
  for (const [i, count] of counts.entries()) {
    const object = i % 2 === 1;
    for (let left = count; left > 0; ) {
      const rows = Math.min(left, height - y);
      if (object) for (let at = y * width + x, end = at + rows * width; at < end; at += width) bits[at] = 1;
      left -= rows;
      y += rows;
      if (y === height) [x, y] = [x + 1, 0];
    }
  }
  return bits;
}

/**
 * A mask of the places at which it begins and ends, down the columns.
 * @param bounds ascending; equal ones cancel each other in pairs
 */
export function maskOfBounds(bounds: ArrayLike<number>, height: number, width: number): Mask {
  const counts: number[] = [];
  let before = 0;
  for (let i = 0; i < bounds.length; i++) {
    // A run of no length joins its neighbours, except at the very beginning.
    if (bounds[i] === before && counts.length > 0) before -= counts.pop() as number;
    else {
      counts.push(bounds[i] - before);
      before = bounds[i];
    }
  }
  const size = height * width;
  if (before < size || counts.length === 0) counts.push(size - before);
  return { height, width, counts: Uint32Array.from(counts) };
}

/**
 * The pixels that lie in any of the masks.
 * @param masks of one size, at least one
 *
 * @example
 * const [left, right] = [Uint8Array.of(1, 0), Uint8Array.of(0, 1)].map((bits) => encodeMask(bits, 1, 2));
 * maskArea(uniteMasks([left, right])); // 2
 */
export function uniteMasks(masks: readonly Mask[]): Mask {
  const [{ height, width }] = masks;
  if (masks.length === 1) return masks[0];
  const other = masks.find((mask) => mask.height !== height || mask.width !== width);
  if (other !== undefined)
    throw new UsageError(
      `Expected masks of one size but received ${height}×${width} and ${other.height}×${other.width} pixels`,
    );
  const runs = masks.flatMap(runsOf).sort((a, b) => a[0] - b[0]);
  const bounds: number[] = [];
  for (const [from, to] of runs) {
    const end = bounds.at(-1);
    if (end === undefined || from > end) bounds.push(from, to);
    else if (to > end) bounds[bounds.length - 1] = to;
  }
  return maskOfBounds(bounds, height, width);
}

/** Where the runs of the object begin and end. */
function runsOf({ counts }: Mask): [from: number, to: number][] {
  const runs: [number, number][] = [];
  let at = 0;
  for (let i = 0; i < counts.length; at += counts[i++])
    if (i % 2 === 1 && counts[i] > 0) runs.push([at, at + counts[i]]);
  return runs;
}

/**
 * Number of pixels of the object.
 *
 * @example
 * maskArea(encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2)); // 2
 */
export function maskArea({ counts }: Mask): number {
  let area = 0;
  for (let i = 1; i < counts.length; i += 2) area += counts[i];
  return area;
}

/**
 * The box around the object: left, top, right, bottom in pixels; null if the mask is empty.
 *
 * @example
 * maskBox(encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2)); // 1, 0, 2, 2
 */
export function maskBox({
  height,
  counts,
}: Omit<Mask, "counts"> & { counts: ArrayLike<number> }): [number, number, number, number] | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  let at = 0;
  for (let i = 0; i < counts.length; at += counts[i++])
    if (i % 2 === 1 && counts[i] > 0) {
      const last = at + counts[i] - 1;
      const columns = [Math.floor(at / height), Math.floor(last / height)];
      left = Math.min(left, columns[0]);
      right = Math.max(right, columns[1]);
      // A run that goes on in the next column touches the lower and the upper edge.
      top = Math.min(top, columns[0] === columns[1] ? at % height : 0);
      bottom = Math.max(bottom, columns[0] === columns[1] ? last % height : height - 1);
    }
  return right < 0 ? null : [left, top, right + 1, bottom + 1];
}
