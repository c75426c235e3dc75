// The figures of COCO from the curves (`COCOeval.summarize` of pycocotools).
import type { Accumulation } from "./coco-accumulate.js";
import { AREA_NAMES, IOU_50, IOU_75, IOU_THRESHOLDS, RECALL_POINTS, UNDEFINED_FIGURE } from "./coco-parameters.js";

/** The figures of one class; null where the class has no ground truth. */
export interface ClassSummary {
  class_id: number;
  class_name: string;
  AP: number | null;
  AP50: number | null;
  AP75: number | null;
  /** Recall averaged over the IoU thresholds, at the largest number of detections. */
  AR: number | null;
  /** Images with at least one ground truth of the class, crowds not counted. */
  images: number;
  /** Ground truths of the class, crowds not counted. */
  instances: number;
}

/**
 * The stock COCO figures, fractions of 1; null where nothing is defined (no ground truth in that area range), where
 * pycocotools prints −1: see {@link stockFigures}. `AR1`, `AR10`, `AR100` are named after the entries of `maxDets`;
 * every other figure is taken at the largest of them.
 */
export interface CocoFigures {
  AP: number | null;
  AP50: number | null;
  AP75: number | null;
  AP_small: number | null;
  AP_medium: number | null;
  AP_large: number | null;
  AR_small: number | null;
  AR_medium: number | null;
  AR_large: number | null;
  [averageRecall: `AR${number}`]: number | null;
  per_class: ClassSummary[];
}

/** The figures of an evaluation: those of the boxes, and those of the masks. */
export interface CocoSummary extends CocoFigures {
  images: number;
  instances: number;
  detections: number;
  /** The same figures with the IoU of masks; only where the objects have masks. */
  masks?: CocoFigures;
}

/** Sums with an error independent of the number of terms (Neumaier), because the reference adds in another order. */
class Mean {
  #sum = 0;
  #lost = 0;
  #count = 0;

  add(value: number): void {
    const sum = this.#sum + value;
    this.#lost += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - sum + value : value - sum + this.#sum;
    this.#sum = sum;
    this.#count++;
  }

  get value(): number | null {
    return this.#count === 0 ? null : (this.#sum + this.#lost) / this.#count;
  }
}

/** The precisions that {@link averagePrecision} takes the mean of. */
interface AveragedPrecisions {
  /** Index of the area range; default 0, which is all areas. */
  area?: number;
  /** Index of the IoU threshold; default: all thresholds. */
  threshold?: number;
}

/** Mean precision over recall points, IoU thresholds and the classes given; null if none of them has ground truth. */
export function averagePrecision(
  result: Accumulation,
  labels: Iterable<number>,
  { area = 0, threshold }: AveragedPrecisions = {},
): number | null {
  const [from, to] = threshold === undefined ? [0, IOU_THRESHOLDS.length] : [threshold, threshold + 1];
  const mean = new Mean();
  for (const label of labels) {
    for (let t = from; t < to; t++) {
      const start = result.precisionAt(label, area, t);
      for (let r = 0; r < RECALL_POINTS.length; r++) {
        if (result.precision[start + r] > -1) mean.add(result.precision[start + r]);
      }
    }
  }
  return mean.value;
}

/** Mean recall over all thresholds and the classes given, at `maxDets[limit]`. */
function averageRecall(result: Accumulation, labels: Iterable<number>, area: number, limit: number): number | null {
  const mean = new Mean();
  for (const label of labels) {
    for (let t = 0; t < IOU_THRESHOLDS.length; t++) {
      const recall = result.recall[result.recallAt(label, area, t) + limit];
      if (recall > -1) mean.add(recall);
    }
  }
  return mean.value;
}

/** The figures that tell how good a detector is: those of the masks where it gives masks. */
export const mainFigures = (summary: Pick<CocoSummary, "masks"> & CocoFigures): CocoFigures => summary.masks ?? summary;

/** A class with its images and instances of ground truth. */
interface CountedClass {
  id: number;
  name: string;
  images: number;
  instances: number;
}

/** Reduces the curves of boxes to the figures of an evaluation. */
export function summarizeCurves(
  result: Accumulation,
  classes: readonly CountedClass[],
  images: number,
  detections: number,
): CocoSummary {
  const instances = classes.reduce((sum, entry) => sum + entry.instances, 0);
  return { images, instances, detections, ...figuresOf(result, classes) };
}

/** Reduces curves to the twelve stock figures and the figures of each class (`COCOeval.summarize`). */
export function figuresOf(result: Accumulation, classes: readonly CountedClass[]): CocoFigures {
  const all = classes.map((_, label) => label);
  const last = result.maxDets.length - 1;
  const [, small, medium, large] = AREA_NAMES.map((_, area) => area);
  const figures: CocoFigures = {
    AP: averagePrecision(result, all),
    AP50: averagePrecision(result, all, { threshold: IOU_50 }),
    AP75: averagePrecision(result, all, { threshold: IOU_75 }),
    AP_small: averagePrecision(result, all, { area: small }),
    AP_medium: averagePrecision(result, all, { area: medium }),
    AP_large: averagePrecision(result, all, { area: large }),
    ...Object.fromEntries(result.maxDets.map((limit, m) => [`AR${limit}`, averageRecall(result, all, 0, m)])),
    AR_small: averageRecall(result, all, small, last),
    AR_medium: averageRecall(result, all, medium, last),
    AR_large: averageRecall(result, all, large, last),
    per_class: [],
  };
  figures.per_class = classes.map((entry, label) => ({
    class_id: entry.id,
    class_name: entry.name,
    AP: averagePrecision(result, [label]),
    AP50: averagePrecision(result, [label], { threshold: IOU_50 }),
    AP75: averagePrecision(result, [label], { threshold: IOU_75 }),
    AR: averageRecall(result, [label], 0, last),
    images: entry.images,
    instances: entry.instances,
  }));
  return figures;
}

/** The figures as pycocotools prints them: −1 where nothing is defined. */
export function stockFigures(summary: CocoSummary): Record<string, unknown> {
  const { per_class: classes, masks, ...figures } = summary;
  const stock = (entry: object): Record<string, unknown> =>
    Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, value ?? UNDEFINED_FIGURE]));
  return {
    ...stock(figures),
    per_class: classes.map(stock),
    ...(masks === undefined ? {} : { masks: { ...stock(masks), per_class: masks.per_class.map(stock) } }),
  };
}
