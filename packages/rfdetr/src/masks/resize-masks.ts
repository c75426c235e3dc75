// Masks of logits: resized bilinearly to an image and cut at 0, without the logits of its pixels in memory.
import type { Mask } from "./mask.js";

/** Height and width in pixels. */
type Size = readonly [height: number, width: number];

/** Where each place of a longer or shorter axis lies between two neighbours: weights `1 - part` and `part`. */
interface Axis {
  first: Int32Array;
  second: Int32Array;
  part: Float64Array;
}

/**
 * Without aligned corners, place i of the new axis is (i + ½)·from/to − ½ of the old one, clamped to its ends. Source:
 * `at::native::area_pixel_compute_source_index`, in the precision of the logits.
 */
function axisOf(from: number, to: number, round: (x: number) => number): Axis {
  const axis: Axis = { first: new Int32Array(to), second: new Int32Array(to), part: new Float64Array(to) };
  const scale = round(from / to);
  for (let i = 0; i < to; i++) {
    const place = Math.max(0, round(round(scale * (i + 0.5)) - 0.5));
    const first = Math.min(from - 1, Math.floor(place));
    axis.first[i] = first;
    axis.second[i] = Math.min(from - 1, first + 1);
    axis.part[i] = Math.min(1, round(place - first));
  }
  return axis;
}

/** For each place of the old axis, the first of the new places that lie after it; one more entry ends the last. */
function startsOf({ first }: Axis, from: number): Int32Array {
  const starts = new Int32Array(from + 1).fill(first.length);
  for (let i = first.length - 1; i >= 0; i--) starts[first[i]] = i;
  for (let j = from - 1; j >= 0; j--) starts[j] = Math.min(starts[j], starts[j + 1]);
  return starts;
}

/** Between two neighbouring rows: all logits are above 0, none is, or some are. */
const [none, all, mixed] = [0, 1, 2];

/**
 * Sorts the gaps between the rows of two neighbouring columns by the signs of their four corners. Neighbouring gaps of
 * one sign become one stretch.
 * @param stretches filled with the first row of each stretch of gaps
 * @param kinds filled with what the stretches are
 * @returns the number of stretches
 */
function stretchesOf(
  plane: Float32Array | Float64Array,
  [height, width]: Size,
  [left, right]: readonly [number, number],
  stretches: Int32Array,
  kinds: Uint8Array,
): number {
  const signAt = (row: number): number => {
    const first = plane[row * width + left] > 0;
    return first !== plane[row * width + right] > 0 ? mixed : first ? all : none;
  };
  let [count, upper] = [0, signAt(0)];
  for (let j = 0; j < height; j++) {
    const lower = j + 1 < height ? signAt(j + 1) : upper;
    const kind = upper === lower ? upper : mixed;
    if (count === 0 || kind === mixed || kinds[count - 1] !== kind) {
      stretches[count] = j;
      kinds[count++] = kind;
    }
    upper = lower;
  }
  return count;
}

/**
 * Resizes logits bilinearly, without aligned corners, to the size of an image; the pixels above 0 are the object
 * (`rfdetr.models.postprocess: PostProcess`). Between four neighbours of one sign all pixels have that sign, so only
 * the pixels at the outline are computed.
 * @param logits `[count × height × width]`, mask after mask, row by row
 * @param from height and width of the logits of one mask
 * @param to height and width of the image
 * @example
 * import { resizeMasks } from "rfdetr/masks";
 * const [{ counts }] = resizeMasks(Float32Array.of(-1, 3), 1, [1, 2], [2, 4]); // 2, 6: three columns of the object
 */
export function resizeMasks(logits: Float32Array | Float64Array, count: number, from: Size, to: Size): Mask[] {
  const [[height, width], [rows, columns]] = [from, to];
  const round = logits instanceof Float32Array ? Math.fround : (x: number): number => x;
  const [down, across] = [axisOf(height, rows, round), axisOf(width, columns, round)];
  const starts = startsOf(down, height);
  const [stretches, kinds] = [new Int32Array(height), new Uint8Array(height)];
  // A column crosses the outline at most once between two neighbours.
  const runs = new Uint32Array(columns * (height + 1) + 1);
  return Array.from({ length: count }, (_, mask) => {
    const plane = logits.subarray(mask * height * width, (mask + 1) * height * width);
    let [length, begun, inside] = [0, 0, false];
    const turn = (place: number): void => {
      runs[length++] = place - begun;
      [begun, inside] = [place, !inside];
    };
    let [found, pair] = [0, -1];
    for (let x = 0; x < columns; x++) {
      const [left, right, part] = [across.first[x], across.second[x], across.part[x]];
      if (left !== pair) found = stretchesOf(plane, from, [left, right], stretches, kinds);
      pair = left;
      const at = (row: number): number => (1 - part) * plane[row * width + left] + part * plane[row * width + right];
      for (let k = 0; k < found; k++) {
        const j = stretches[k];
        const start = starts[j];
        if (kinds[k] !== mixed) {
          // A stretch may lie between two pixels.
          if ((kinds[k] === all) !== inside && start < (k + 1 < found ? starts[stretches[k + 1]] : rows))
            turn(x * rows + start);
          continue;
        }
        const [upper, lower, end] = [at(j), at(Math.min(j + 1, height - 1)), starts[j + 1]];
        if (upper > 0 === inside && lower > 0 === inside) continue;
        for (let y = start; y < end; y++)
          if ((1 - down.part[y]) * upper + down.part[y] * lower > 0 !== inside) turn(x * rows + y);
      }
    }
    runs[length] = columns * rows - begun;
    return { height: rows, width: columns, counts: runs.slice(0, length + 1) };
  });
}

/** Whether no logit is NaN or infinite. */
export function areFinite(logits: Float32Array | Float64Array): boolean {
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += logits[i] - logits[i];
  return sum === 0;
}
