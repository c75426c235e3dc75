// Precision and recall curves from matches (`COCOeval.accumulate` of pycocotools).
import type { ClassMatches } from "./coco-matching.js";
import { AREA_NAMES, IOU_THRESHOLDS, RECALL_POINTS } from "./coco-parameters.js";
import { identityOrder, sortDescending } from "./stable-order.js";

const AREAS = AREA_NAMES.length;
const THRESHOLDS = IOU_THRESHOLDS.length;
const POINTS = RECALL_POINTS.length;
/** Spacing of float64 at 1: keeps 0 / 0 out of the precision, as `numpy.spacing(1)` does in pycocotools. */
const EPSILON = Number.EPSILON;

/** The detections of a class in an area range, by descending score. */
interface Ranked {
  score: Float64Array;
  /** Bit t of `matched` and `ignored` belongs to IoU threshold t: see {@link ClassMatches}. */
  matched: Uint16Array;
  ignored: Uint16Array;
}

/** Precision and recall of every class; −1 where a class has no ground truth that counts. */
export class Accumulation {
  /** `[classes, areas, thresholds, recall points]`, at the largest number of detections. */
  readonly precision: Float64Array;
  /** `[classes, areas, thresholds, maxDets]`. */
  readonly recall: Float64Array;
  /**
   * `[classes, recall points]`: the lowest score needed to reach that recall at IoU 0.5, all areas; 0 beyond the
   * reached recall.
   */
  readonly score50: Float64Array;

  #tp = new Float64Array(0);
  #scoreAt = new Float64Array(0);

  constructor(
    readonly classes: number,
    readonly maxDets: readonly number[],
  ) {
    this.precision = new Float64Array(classes * AREAS * THRESHOLDS * POINTS).fill(-1);
    this.recall = new Float64Array(classes * AREAS * THRESHOLDS * maxDets.length).fill(-1);
    this.score50 = new Float64Array(classes * POINTS).fill(-1);
  }

  /** Position of the first recall point of a precision curve. */
  precisionAt(label: number, area: number, threshold: number): number {
    return ((label * AREAS + area) * THRESHOLDS + threshold) * POINTS;
  }

  /** Position of the recall at the first entry of maxDets. */
  recallAt(label: number, area: number, threshold: number): number {
    return ((label * AREAS + area) * THRESHOLDS + threshold) * this.maxDets.length;
  }

  /** Fills in one class from its matches (`COCOeval.accumulate`). */
  add(label: number, matches: ClassMatches): void {
    const n = matches.count;
    const order = identityOrder(n);
    sortDescending(matches.score, order, 0, n, new Int32Array(n));
    if (this.#tp.length < n) {
      this.#tp = new Float64Array(n);
      this.#scoreAt = new Float64Array(n);
    }
    const score = Float64Array.from(order, (i) => matches.score[i]);
    const matched = new Uint16Array(n);
    const ignored = new Uint16Array(n);
    for (let area = 0; area < AREAS; area++) {
      const positives = matches.positives[area];
      if (positives === 0) continue;
      const base = area * matches.capacity;
      for (let i = 0; i < n; i++) {
        matched[i] = matches.matched[base + order[i]];
        ignored[i] = matches.ignored[base + order[i]];
      }
      for (let t = 0; t < THRESHOLDS; t++) {
        const found = this.#curve({ label, area, t }, positives, { score, matched, ignored });
        this.recall[this.recallAt(label, area, t) + this.maxDets.length - 1] = found / positives;
        for (let m = 0; m < this.maxDets.length - 1; m++) {
          const limited = truePositivesWithin(this.maxDets[m], 1 << t, matches, base);
          this.recall[this.recallAt(label, area, t) + m] = limited / positives;
        }
      }
    }
  }

  /** Writes the interpolated precision at every recall point; returns the number of true positives. */
  #curve(
    { label, area, t }: { label: number; area: number; t: number },
    positives: number,
    { score, matched, ignored }: Ranked,
  ): number {
    // Recall rises and precision peaks only at true positives, so the curve is kept there alone.
    const bit = 1 << t;
    const precision = this.#tp;
    let tp = 0;
    let fp = 0;
    for (let i = 0; i < score.length; i++) {
      if ((ignored[i] & bit) !== 0) continue;
      if ((matched[i] & bit) !== 0) {
        this.#scoreAt[tp] = score[i];
        tp++;
        precision[tp - 1] = tp / (fp + tp + EPSILON);
      } else fp++;
    }
    for (let i = tp - 1; i > 0; i--) if (precision[i] > precision[i - 1]) precision[i - 1] = precision[i];

    const to = this.precisionAt(label, area, t);
    const keepScores = area === 0 && t === 0;
    for (let r = 0, i = 0; r < POINTS; r++) {
      while (i < tp && (i + 1) / positives < RECALL_POINTS[r]) i++;
      this.precision[to + r] = i < tp ? precision[i] : 0;
      if (keepScores) this.score50[label * POINTS + r] = i < tp ? this.#scoreAt[i] : 0;
    }
    return tp;
  }
}

function truePositivesWithin(limit: number, bit: number, matches: ClassMatches, base: number): number {
  let found = 0;
  for (let s = 0; s < matches.count; s++) {
    if (matches.rank[s] < limit && (matches.matched[base + s] & bit) !== 0 && (matches.ignored[base + s] & bit) === 0)
      found++;
  }
  return found;
}
