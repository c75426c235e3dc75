// How much two sets of detections of the same images differ.
import { boxIou, cornersToSizes } from "../../eval/box-iou.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";

/** Differences over all images; NaN where no detection was found in both. */
export interface Disagreement {
  /** Mean absolute difference of the corners of boxes found in both, in pixels of the image. */
  box_error_px: number;
  /** The largest such difference. */
  box_error_max_px: number;
  /** Mean absolute difference of their scores. */
  score_error: number;
  /** Share of the reference's detections without a partner: no box of the class overlaps by more than half. */
  lost_share: number;
  /** Images with a score or box that is not finite. */
  nonfinite_images: number;
}

/** Detections above this score are compared, and the best ten in any case. */
const shownScore = 0.3;
const least = 10;

/**
 * Pairs each detection of `reference`, best scores first, with the unused box of the same class in `other` that
 * overlaps it most. Detections are compared instead of rows of the output, because rounding may change the ranks of
 * queries, and then another query finds the object.
 */
export function agreement(reference: readonly ScoredBoxes[], other: readonly ScoredBoxes[]): Disagreement {
  let [boxes, largest, scores, pairs, all, bad] = [0, 0, 0, 0, 0, 0];
  reference.forEach((image, i) => {
    const found = other[i];
    if (![...found.scores, ...found.boxes].every(Number.isFinite)) bad++;
    const [own, others] = [candidates(image), candidates(found)];
    const used = new Set<number>();
    for (let d = 0; d < image.scores.length && (d < least || image.scores[d] > shownScore); d++) {
      all++;
      const mate = bestMate(own, d, others, used);
      if (mate === null) continue;
      used.add(mate);
      pairs++;
      scores += Math.abs(image.scores[d] - found.scores[mate]);
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
    nonfinite_images: bad,
  };
}

/** Boxes of one image as x, y, width, height, and their classes. */
interface Candidates {
  sizes: Float64Array;
  labels: Int32Array;
}

const candidates = ({ boxes, labels }: ScoredBoxes): Candidates => ({ sizes: cornersToSizes(boxes), labels });

/** Index of the unused box in `other` that overlaps box `d` by more than half, and the most; null if there is none. */
function bestMate(image: Candidates, d: number, other: Candidates, used: ReadonlySet<number>): number | null {
  let [best, mate] = [0.5, null as number | null];
  for (let i = 0; i < other.labels.length; i++) {
    if (other.labels[i] !== image.labels[d] || used.has(i)) continue;
    const overlap = boxIou(image.sizes, d * 4, other.sizes, i * 4);
    // Of equal overlaps the first box wins, which has the higher score.
    if (overlap > best) [best, mate] = [overlap, i];
  }
  return mate;
}
