// How much two sets of detections of the same images differ.
import { pairDetections } from "../../eval/pair-detections.js";
import { maskAgreement } from "../../masks/overlap.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { smallestOf } from "../../support/lists.js";

/** Differences over all images; NaN where no detection was found in both. */
export interface Disagreement {
  /** Mean absolute difference of the corners of boxes found in both, in pixels of the image. */
  box_error_px: number;
  /** The largest such difference. */
  box_error_max_px: number;
  /** Mean absolute difference of their scores. */
  score_error: number;
  /** Share of the reference's detections without a partner: no box of the class overlaps by half. */
  lost_share: number;
  /** Intersection over union of the masks of detections found in both, where the model has masks. */
  mask_iou?: { mean: number; least: number };
  /** Images with a score or box that is not finite. */
  nonfinite_images: number;
}

/** Detections above this score are compared, and the best ten in any case. */
const shownScore = 0.3;
const least = 10;

/** Compares the detections of `reference` with their partners in `other`, image by image. */
export function agreement(reference: readonly ScoredBoxes[], other: readonly ScoredBoxes[]): Disagreement {
  let [boxes, largest, scores, pairs, all, bad] = [0, 0, 0, 0, 0, 0];
  const ious: number[] = [];
  reference.forEach((image, i) => {
    const found = other[i];
    if (![...found.scores, ...found.boxes].every(Number.isFinite)) bad++;
    const shown = image.scores.filter((score, rank) => rank < least || score > shownScore).length;
    const partners = pairDetections(image, found, shown);
    all += shown;
    pairs += partners.size;
    for (const [d, mate] of partners) {
      scores += Math.abs(image.scores[d] - found.scores[mate]);
      if (image.masks && found.masks) ious.push(maskAgreement(image.masks[d], found.masks[mate]));
      for (let c = 0; c < 4; c++) {
        const difference = Math.abs(image.boxes[d * 4 + c] - found.boxes[mate * 4 + c]);
        boxes += difference / 4;
        largest = Math.max(largest, difference);
      }
    }
  });
  const mean = (sum: number): number => (pairs === 0 ? Number.NaN : sum / pairs);
  return {
    box_error_px: mean(boxes),
    box_error_max_px: largest,
    score_error: mean(scores),
    lost_share: all === 0 ? 0 : (all - pairs) / all,
    ...(ious.length > 0 && { mask_iou: { mean: mean(ious.reduce((a, b) => a + b)), least: smallestOf(ious) } }),
    nonfinite_images: bad,
  };
}
