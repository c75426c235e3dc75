/**
 * The constants of the COCO detection metric (Lin et al. 2014; pycocotools `Params`), bit-equal to NumPy's
 * `linspace`.
 */

function linspace(first: number, last: number, count: number): Float64Array {
  const step = (last - first) / (count - 1);
  const values = Float64Array.from({ length: count }, (_, i) => i * step + first);
  values[count - 1] = last;
  return values;
}

/** 0.50, 0.55, … 0.95. */
export const IOU_THRESHOLDS = linspace(0.5, 0.95, 10);
/** Positions of 0.50 and 0.75 in {@link IOU_THRESHOLDS}. */
export const IOU_50 = 0;
export const IOU_75 = 5;

/** 0.00, 0.01, … 1.00: where precision is read off. */
export const RECALL_POINTS = linspace(0, 1, 101);

/** Object areas in square pixels, both ends inclusive; "all" comes first. */
export const AREA_NAMES = ["all", "small", "medium", "large"] as const;
export const AREA_MIN = Float64Array.of(0, 0, 32 ** 2, 96 ** 2);
export const AREA_MAX = Float64Array.of(1e5 ** 2, 32 ** 2, 96 ** 2, 1e5 ** 2);

/** Detections kept per image and class, best first: the stock list. */
export const MAX_DETECTIONS: readonly number[] = [1, 10, 100];

/**
 * What pycocotools prints for a figure that is not defined, such as the AP of a class without ground truth. Here such a
 * figure is null: a number would count as a figure wherever figures are compared or drawn.
 */
export const UNDEFINED_FIGURE = -1;
