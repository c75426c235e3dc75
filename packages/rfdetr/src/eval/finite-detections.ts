// Leaves out detections that are not finite. A model that diverged, or overflows in float16, still has figures: those
// of a model that finds nothing there.
import type { ScoredBoxes } from "../model/images/postprocess.js";

/** @returns the detections with finite scores and boxes, and the number of the others */
export function finiteDetections(found: ScoredBoxes): { kept: ScoredBoxes; dropped: number } {
  const { boxes, scores, labels, masks } = found;
  if (scores.every(Number.isFinite) && boxes.every(Number.isFinite)) return { kept: found, dropped: 0 };
  const finite = (i: number): boolean =>
    Number.isFinite(scores[i]) && boxes.subarray(i * 4, i * 4 + 4).every(Number.isFinite);
  const rows = [...scores.keys()].filter(finite);
  const kept = {
    boxes: Float32Array.from(rows.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(rows, (i) => scores[i]),
    labels: Int32Array.from(rows, (i) => labels[i]),
    ...(masks === undefined ? {} : { masks: rows.map((i) => masks[i]) }),
  };
  return { kept, dropped: scores.length - rows.length };
}
