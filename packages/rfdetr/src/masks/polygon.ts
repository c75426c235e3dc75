// Polygons to masks, pixel for pixel as the COCO API fills them (`rleFrPoly` of its `maskApi`).
import { type Mask, maskArea, maskOfBounds } from "./mask.js";

/** Parts of a pixel that an edge is drawn in. */
const fine = 5;

/**
 * The mask of a polygon. Its edges are drawn on a grid five times as fine, rounded to that grid; a column of pixels is
 * cut where an edge passes the column's middle, and every second cut ends the object. So a polygon that crosses itself
 * has holes. What lies outside of the image is cut off.
 * @param points `x, y, x, y, …` in pixels; the last point is joined to the first
 */
export const polygonMask = (points: ArrayLike<number>, height: number, width: number): Mask =>
  columnsMask(points, height, width, [0, width - 1]);

/** Whether the mask of a polygon has a pixel. One column in its middle mostly tells, much faster than the mask. */
export function enclosesPixel(points: ArrayLike<number>, height: number, width: number): boolean {
  let [left, right] = [Infinity, -Infinity];
  for (let i = 0; i + 1 < points.length; i += 2) {
    left = Math.min(left, points[i]);
    right = Math.max(right, points[i]);
  }
  if (!(right >= 0 && left <= width)) return false;
  const middle = Math.min(width - 1, Math.floor((Math.max(0, left) + Math.min(width, right)) / 2));
  const has = (columns: Columns): boolean => maskArea(columnsMask(points, height, width, columns)) > 0;
  return has([middle, middle]) || has([0, width - 1]);
}

type Columns = readonly [first: number, last: number];

/** The mask of some columns of a polygon. */
function columnsMask(points: ArrayLike<number>, height: number, width: number, columns: Columns): Mask {
  const cuts: number[] = [];
  const n = Math.floor(points.length / 2);
  // Rounding moves a point by less than a pixel.
  const [left, right] = [columns[0] - 1, columns[1] + 2];
  for (let i = 0, j = n - 1; i < n; j = i++) {
    const from = points[j * 2];
    const to = points[i * 2];
    if ((from < left && to < left) || (from > right && to > right)) continue;
    addCuts(cuts, pointOf(points, j), pointOf(points, i), height, columns);
  }
  return maskOfBounds(Float64Array.from(cuts).sort(), height, width);
}

const pointOf = (points: ArrayLike<number>, i: number): Point => [fineOf(points[i * 2]), fineOf(points[i * 2 + 1])];

/** A coordinate on the fine grid; it fits into 32 bits there, as in the COCO API, and ends where those do. */
const fineOf = (coordinate: number): number =>
  Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), Math.trunc(fine * coordinate + 0.5)));

type Point = readonly [x: number, y: number];

/**
 * Where an edge cuts columns, as places of pixels down the columns. The middle of column c lies between the fine
 * columns 5c + 2 and 5c + 3; the upper one of the two fine rows there counts.
 */
function addCuts(cuts: number[], from: Point, to: Point, height: number, columns: Columns): void {
  const [dx, dy] = [Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
  const flat = dx >= dy;
  // Points along the edge are counted in the direction in which its longer side grows.
  const [[xs, ys], [xe, ye]] = (flat ? from[0] > to[0] : from[1] > to[1]) ? [to, from] : [from, to];
  const first = Math.max(columns[0], Math.ceil((Math.min(xs, xe) - 2) / fine));
  const last = Math.min(columns[1], Math.floor((Math.max(xs, xe) - 3) / fine));
  const slope = flat ? (ye - ys) / dx : (xe - xs) / dy;
  for (let column = first; column <= last; column++) {
    const x = column * fine + 2;
    const rowAt = (along: number): number => Math.trunc(ys + slope * (along - xs) + 0.5);
    const row = flat ? Math.min(rowAt(x), rowAt(x + 1)) : ys + stepsTo(x, xs, slope, dy) - 1;
    const place = Math.min(height, Math.max(0, (row + 0.5) / fine - 0.5));
    cuts.push(column * height + Math.ceil(place));
  }
}

/** The first step down a steep edge after which it has passed from one of the fine columns x and x + 1 to the other. */
function stepsTo(x: number, start: number, slope: number, most: number): number {
  const passed = (step: number): boolean => {
    const at = Math.trunc(start + slope * step + 0.5);
    return slope > 0 ? at > x : at <= x;
  };
  let step = Math.min(most, Math.max(1, Math.ceil((x + 0.5 - start) / slope)));
  while (step > 1 && passed(step - 1)) step--;
  while (step < most && !passed(step)) step++;
  return step;
}
