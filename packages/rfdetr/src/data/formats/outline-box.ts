// The box around an outline, for annotations that have no box.
import { decodeCounts } from "../../masks/coco-runs.js";
import { maskBox } from "../../masks/mask.js";

/** Left, top, width and height in pixels. */
type Box = [x: number, y: number, width: number, height: number];

/**
 * The box around a COCO segmentation: polygons, or a run-length encoding with its counts as numbers or as text.
 * @returns null if it is none of these, or empty
 */
export function outlineBox(segmentation: unknown): Box | null {
  if (Array.isArray(segmentation)) return pointsBox(segmentation.flat());
  const { size, counts } = (segmentation ?? {}) as { size?: unknown; counts?: unknown };
  if (!Array.isArray(size) || !size.slice(0, 2).every((side) => Number.isSafeInteger(side) && side > 0)) return null;
  if (size.length < 2) return null;
  const runs: unknown = typeof counts === "string" ? decodeCounts(counts) : counts;
  if (!Array.isArray(runs) || !runs.every((run) => Number.isSafeInteger(run) && run >= 0)) return null;
  const box = maskBox({ height: size[0], width: size[1], counts: runs });
  return box === null ? null : [box[0], box[1], box[2] - box[0], box[3] - box[1]];
}

/** The box around points `x, y, x, y, …`. */
export function pointsBox(numbers: readonly unknown[]): Box | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const [x, y] = [numbers[i], numbers[i + 1]];
    if (typeof x !== "number" || typeof y !== "number" || !Number.isFinite(x + y)) return null;
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return right > left && bottom > top ? [left, top, right - left, bottom - top] : null;
}
