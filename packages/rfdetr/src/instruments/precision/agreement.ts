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
  /** The largest such difference. */
  score_error_max: number;
  /**
   * Share of the reference's detections without a partner, whatever its score: no box of the class overlaps by half.
   * Says nothing of detections that fall below a threshold: see {@link ThresholdDisagreement}.
   */
  lost_share: number;
  /** What whoever takes detections above a threshold would notice. */
  at_threshold: ThresholdDisagreement;
  /** Intersection over union of the masks of detections found in both, where the model has masks. */
  mask_iou?: { mean: number; least: number };
  /** Images with a score or box that is not finite. */
  nonfinite_images: number;
}

/**
 * How the detections differ that `predict` would report: those with a score above a threshold. On each image those of
 * both sets are paired class by class, as many as an IoU of at least 0.5 allows, each with one partner at most. One
 * without a partner is *changed*: its box is gone or elsewhere, its class is another, or its score has crossed the
 * threshold. Where class or box changed it counts on both sides. Boxes decide, also of a model with masks.
 */
export interface ThresholdDisagreement {
  threshold: number;
  /** Detections above it in the reference. */
  reference: number;
  /** Detections above it in the other set. */
  found: number;
  /** Those of the reference without a partner in the other set. */
  only_reference: number;
  /** Those of the other set without a partner in the reference. */
  only_found: number;
  /** The highest score among those without a partner; null where each has one. */
  highest_score: number | null;
  /** The images that these are on, with most of them first. */
  images: ChangedImage[];
}

/** An image on which two sets report different detections. */
export interface ChangedImage extends Pick<ThresholdDisagreement, "only_reference" | "only_found"> {
  /** Its name or id; its place among the images where it has none. */
  image: string | number;
}

/** Detections above this score are compared, and the best ten in any case. */
const shownScore = 0.3;
const least = 10;

/**
 * Compares the detections of `reference` with their partners in `other`, image by image. Errors and `lost_share` are of
 * the reference's detections above a score of 0.3, at least the best ten of each image.
 * @param options.threshold for {@link ThresholdDisagreement}; default 0.5, as in `predict`
 * @param options.names of the images; default: their places in the lists
 * @example
 * import { agreement } from "rfdetr/instruments";
 * const image = { boxes: Float32Array.of(0, 0, 9, 9), scores: Float32Array.of(0.302), labels: Int32Array.of(0) };
 * const lower = { ...image, scores: Float32Array.of(0.249) };
 * agreement([image], [lower], { threshold: 0.26 }).at_threshold.only_reference; // 1
 */
export function agreement(
  reference: readonly ScoredBoxes[],
  other: readonly ScoredBoxes[],
  { threshold = 0.5, names }: { threshold?: number; names?: readonly (string | number)[] } = {},
): Disagreement {
  let [boxes, largest, scores, largestScore, pairs, all, bad] = [0, 0, 0, 0, 0, 0, 0];
  const ious: number[] = [];
  reference.forEach((image, i) => {
    const found = other[i];
    if (![...found.scores, ...found.boxes].every(Number.isFinite)) bad++;
    const shown = image.scores.filter((score, rank) => rank < least || score > shownScore).length;
    const partners = pairDetections(image, found, shown);
    all += shown;
    pairs += partners.size;
    for (const [d, mate] of partners) {
      const score = Math.abs(image.scores[d] - found.scores[mate]);
      scores += score;
      largestScore = Math.max(largestScore, score);
      if (image.masks && found.masks) ious.push(maskAgreement(image.masks[d], found.masks[mate]));
      for (let c = 0; c < 4; c++) {
        const difference = Math.abs(image.boxes[d * 4 + c] - found.boxes[mate * 4 + c]);
        boxes += difference / 4;
        largest = Math.max(largest, difference);
      }
    }
  });
  const mean = (sum: number): number => (pairs === 0 ? Number.NaN : sum / pairs);
  const worst = (value: number): number => (pairs === 0 ? Number.NaN : value);
  return {
    box_error_px: mean(boxes),
    box_error_max_px: worst(largest),
    score_error: mean(scores),
    score_error_max: worst(largestScore),
    lost_share: all === 0 ? 0 : (all - pairs) / all,
    at_threshold: atThreshold(reference, other, threshold, names),
    ...(ious.length > 0 && { mask_iou: { mean: mean(ious.reduce((a, b) => a + b)), least: smallestOf(ious) } }),
    nonfinite_images: bad,
  };
}

/** See {@link ThresholdDisagreement}. */
function atThreshold(
  reference: readonly ScoredBoxes[],
  other: readonly ScoredBoxes[],
  threshold: number,
  names?: readonly (string | number)[],
): ThresholdDisagreement {
  const sum = { threshold, reference: 0, found: 0, only_reference: 0, only_found: 0 };
  const images: ChangedImage[] = [];
  let highest: number | null = null;
  reference.forEach((image, i) => {
    const [ours, theirs] = [above(image, threshold), above(other[i], threshold)];
    const partners = pairDetections(ours, theirs);
    const mates = new Set(partners.values());
    const alone = [...ours.scores.filter((_, d) => !partners.has(d)), ...theirs.scores.filter((_, d) => !mates.has(d))];
    const only = {
      only_reference: ours.scores.length - partners.size,
      only_found: theirs.scores.length - partners.size,
    };
    sum.reference += ours.scores.length;
    sum.found += theirs.scores.length;
    sum.only_reference += only.only_reference;
    sum.only_found += only.only_found;
    if (alone.length > 0) images.push({ image: names?.[i] ?? i, ...only });
    for (const score of alone) highest = Math.max(highest ?? 0, score);
  });
  const count = (image: ChangedImage): number => image.only_reference + image.only_found;
  return { ...sum, highest_score: highest, images: images.sort((a, b) => count(b) - count(a)) };
}

/** The detections of an image with a score above a threshold, without masks. */
function above({ scores, boxes, labels }: ScoredBoxes, threshold: number): ScoredBoxes {
  const kept = [...scores.keys()].filter((d) => scores[d] > threshold);
  return {
    scores: Float32Array.from(kept, (d) => scores[d]),
    labels: Int32Array.from(kept, (d) => labels[d]),
    boxes: Float32Array.from(kept.flatMap((d) => [...boxes.subarray(d * 4, d * 4 + 4)])),
  };
}
