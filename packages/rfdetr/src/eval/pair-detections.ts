// Which detection of an image is which in another detection of it: by another program, or in another precision.
import { linearSumAssignment } from "../loss/linear-assignment.js";
import type { ScoredBoxes } from "../model/images/postprocess.js";
import { boxIou, cornersToSizes } from "./box-iou.js";

/** Boxes that overlap less are not of the same object. */
const leastIou = 0.5;

/** Cost of a pair that is none: more than all others together. */
const apart = 1e6;

/**
 * Pairs the detections of an image class by class: those pairs with an IoU of at least 0.5 that make the sum of
 * 1 − IoU + |difference of scores| smallest (linear assignment), so that no detection is partner of two. Detections are
 * compared instead of rows of the output, because rounding may change the ranks of queries, and then another query
 * finds the object. One with a value that is not finite has no partner.
 * @param count the first so many of `first` are paired; all if absent
 * @returns indices of `second` by index of `first`
 */
export function pairDetections(
  first: ScoredBoxes,
  second: ScoredBoxes,
  count: number = first.scores.length,
): Map<number, number> {
  const partners = new Map<number, number>();
  const [a, b] = [cornersToSizes(first.boxes), cornersToSizes(second.boxes)];
  const labels = first.labels.subarray(0, count);
  const indicesOf = (all: Int32Array, label: number): number[] => [...all.keys()].filter((i) => all[i] === label);
  for (const label of new Set(labels)) {
    const [rows, columns] = [indicesOf(labels, label), indicesOf(second.labels, label)];
    if (columns.length === 0) continue;
    const costs = Float64Array.from({ length: rows.length * columns.length }, (_, at) => {
      const [i, j] = [rows[Math.floor(at / columns.length)], columns[at % columns.length]];
      const iou = boxIou(a, i * 4, b, j * 4);
      const cost = 1 - iou + Math.abs(first.scores[i] - second.scores[j]);
      return iou >= leastIou && cost < apart ? cost : apart;
    });
    const found = linearSumAssignment(costs, rows.length, columns.length);
    found.rows.forEach((row, k) => {
      if (costs[row * columns.length + found.columns[k]] < apart) partners.set(rows[row], columns[found.columns[k]]);
    });
  }
  return partners;
}
