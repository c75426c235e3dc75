// Which detection of one form of a detector is which of another, and how far they are apart.
import { boxIou, cornersToSizes } from "../../eval/box-iou.js";
import { linearSumAssignment } from "../../loss/linear-assignment.js";
import type { Mask } from "../../masks/mask.js";
import { maskIou, measureMask } from "../../masks/overlap.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";

/** A detection of the first form with its partner in the second. */
export interface Pair {
  /** Class index. */
  label: number;
  score: number;
  /** Left, top, right, bottom in pixels. */
  box: [number, number, number, number];
  /** Score of the partner; 0 without one. */
  other: number;
  /** Largest difference of a coordinate from the partner's, in pixels; null without one. */
  boxPx: number | null;
  /** Intersection over union of both masks; only where both have one. */
  maskIou?: number;
}

/** Detections of an image in two forms. */
export interface Comparison {
  /** Detections of the first form with a score of 0.1 or more, at least the best 16, best first. */
  pairs: Pair[];
  /** Detections on one side of the threshold in one form and without a partner there in the other. */
  flips: number;
}

/** Detections with lower scores are not compared, */
export const leastScore = 0.1;
/** but so many of the best are, as in a model that has learned little. */
const atLeast = 16;
/** Boxes that overlap less are not of the same object. */
const leastIou = 0.5;

/**
 * Pairs the detections of an image in two forms, class by class: those pairs with an IoU of at least 0.5 that make the
 * sum of 1 − IoU + |difference of scores| smallest (linear assignment), so that no detection is partner of two.
 * @param first and second: all detections that the model selects, best first
 * @param threshold score from which a detection counts
 */
export function compareDetections(first: ScoredBoxes, second: ScoredBoxes, threshold: number): Comparison {
  const partners = assign(first, second);
  const pairs: Pair[] = [];
  let flips = 0;
  for (let i = 0; i < first.scores.length; i++) {
    const j = partners.get(i);
    const [score, other] = [first.scores[i], j === undefined ? 0 : second.scores[j]];
    if (score >= threshold && other < threshold) flips++;
    if (score < leastScore && i >= atLeast) continue;
    const box = [...first.boxes.subarray(i * 4, i * 4 + 4)] as Pair["box"];
    const boxPx = j === undefined ? null : Math.max(...box.map((side, k) => Math.abs(side - second.boxes[j * 4 + k])));
    const masks = [first.masks?.[i], j === undefined ? undefined : second.masks?.[j]];
    const iou = masks[0] && masks[1] && { maskIou: iouOf(masks[0], masks[1]) };
    pairs.push({ label: first.labels[i], score, box, other, boxPx, ...iou });
  }
  const partnerOf = new Map([...partners].map(([i, j]) => [j, i]));
  second.scores.forEach((score, j) => {
    const i = partnerOf.get(j);
    if (score >= threshold && (i === undefined || first.scores[i] < threshold)) flips++;
  });
  return { pairs, flips };
}

/** Two empty masks are the same. */
function iouOf(a: Mask, b: Mask): number {
  const [one, other] = [measureMask(a), measureMask(b)];
  return one.area + other.area === 0 ? 1 : maskIou(one, other);
}

/** Indices of `second` by index of `first`. */
function assign(first: ScoredBoxes, second: ScoredBoxes): Map<number, number> {
  const partners = new Map<number, number>();
  const [a, b] = [cornersToSizes(first.boxes), cornersToSizes(second.boxes)];
  const indicesOf = ({ labels }: ScoredBoxes, label: number): number[] =>
    [...labels.keys()].filter((i) => labels[i] === label);
  for (const label of new Set(first.labels)) {
    const [rows, columns] = [indicesOf(first, label), indicesOf(second, label)];
    if (rows.length === 0 || columns.length === 0) continue;
    const costs = Float64Array.from({ length: rows.length * columns.length }, (_, at) => {
      const [i, j] = [rows[Math.floor(at / columns.length)], columns[at % columns.length]];
      const iou = boxIou(a, i * 4, b, j * 4);
      return iou < leastIou ? apart : 1 - iou + Math.abs(first.scores[i] - second.scores[j]);
    });
    const found = linearSumAssignment(costs, rows.length, columns.length);
    found.rows.forEach((row, k) => {
      if (costs[row * columns.length + found.columns[k]] < apart) partners.set(rows[row], columns[found.columns[k]]);
    });
  }
  return partners;
}

/** Cost of a pair that is none: more than all others together. */
const apart = 1e6;
