// How far the detections of two forms of a detector are apart.
import { pairDetections } from "../../eval/pair-detections.js";
import { maskAgreement } from "../../masks/overlap.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { fewest, leastScore } from "../proof/compared-queries.js";

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

/**
 * Compares the detections of an image in two forms.
 * @param first and second: all detections that the model selects, best first
 * @param threshold score from which a detection counts
 */
export function compareDetections(first: ScoredBoxes, second: ScoredBoxes, threshold: number): Comparison {
  const partners = pairDetections(first, second);
  const pairs: Pair[] = [];
  let flips = 0;
  for (let i = 0; i < first.scores.length; i++) {
    const j = partners.get(i);
    const [score, other] = [first.scores[i], j === undefined ? 0 : second.scores[j]];
    if (score >= threshold && other < threshold) flips++;
    if (score < leastScore && i >= fewest) continue;
    const box = [...first.boxes.subarray(i * 4, i * 4 + 4)] as Pair["box"];
    const boxPx = j === undefined ? null : Math.max(...box.map((side, k) => Math.abs(side - second.boxes[j * 4 + k])));
    const masks = [first.masks?.[i], j === undefined ? undefined : second.masks?.[j]];
    const iou = masks[0] && masks[1] && { maskIou: maskAgreement(masks[0], masks[1]) };
    pairs.push({ label: first.labels[i], score, box, other, boxPx, ...iou });
  }
  const partnerOf = new Map([...partners].map(([i, j]) => [j, i]));
  second.scores.forEach((score, j) => {
    const i = partnerOf.get(j);
    if (score >= threshold && (i === undefined || first.scores[i] < threshold)) flips++;
  });
  return { pairs, flips };
}
