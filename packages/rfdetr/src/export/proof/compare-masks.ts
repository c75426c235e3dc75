// How far the masks of an exported file are from those of the model.
import type { RawMasks } from "../../onnx/goldens.js";

/** How far two masks of one query are apart. */
export interface MaskError {
  /** Largest difference of a logit. */
  logit: number;
  /** Share of the pixels of both masks that only one of them has: 1 − IoU. */
  apart: number;
}

/** Smaller masks count as so many pixels of the model's masks: in these, one pixel is no disagreement. */
const fewest = 64;

/** Compares the mask of query `i` of the model with that of query `j` of the file. */
export function compareMasks(ours: RawMasks, i: number, theirs: RawMasks | undefined, j: number): MaskError {
  const area = ours.height * ours.width;
  if (theirs === undefined || theirs.height * theirs.width !== area) return farthest;
  let [logit, either, one] = [0, 0, 0];
  for (let a = i * area, b = j * area, end = a + area; a < end; a++, b++) {
    const [x, y] = [ours.logits[a], theirs.logits[b]];
    const difference = Math.abs(x - y);
    if (!(difference <= Number.MAX_VALUE)) return farthest;
    if (difference > logit) logit = difference;
    if (x > 0 || y > 0) {
      either++;
      if (x > 0 !== y > 0) one++;
    }
  }
  return { logit, apart: one / Math.max(either, fewest) };
}

const farthest: MaskError = { logit: Number.POSITIVE_INFINITY, apart: 1 };
