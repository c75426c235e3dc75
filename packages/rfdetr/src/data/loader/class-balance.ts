// What sampling and weights do to the classes, in words for the start of a run.

import { counted } from "../../support/format.js";
import type { DatasetImage } from "../formats/dataset.js";
import { type Sampling, sumOf } from "./repeat-factors.js";

/** What each class has in the data, and in an epoch. */
export interface ClassShares {
  /** `[classes]` images with the class, and boxes of it. */
  images: Float64Array;
  boxes: Float64Array;
  /** `[classes]` the same in an epoch, on average. */
  drawnImages: Float64Array;
  drawnBoxes: Float64Array;
}

/** Counts images and boxes of each class, in the data and as they are drawn. */
export function classShares(
  images: readonly Pick<DatasetImage, "labels">[],
  classes: number,
  sampling: Sampling | null,
): ClassShares {
  const column = (): Float64Array => new Float64Array(classes);
  const shares = { images: column(), boxes: column(), drawnImages: column(), drawnBoxes: column() };
  images.forEach(({ labels }, i) => {
    const factor = sampling?.factors[i] ?? 1;
    for (const label of labels) {
      shares.boxes[label]++;
      shares.drawnBoxes[label] += factor;
    }
    for (const label of new Set(labels)) {
      shares.images[label]++;
      shares.drawnImages[label] += factor;
    }
  });
  return shares;
}

/** Classes that are listed; the most frequent of more are left out. */
const listed = 20;

/**
 * A line for each class, the rarest first: its images and boxes, its share of the boxes in the data and in an epoch,
 * its weight.
 */
export function balanceLines(
  classNames: readonly string[],
  { images, boxes, drawnBoxes }: ClassShares,
  weights: readonly number[] | null,
): string[] {
  const [all, drawn] = [sumOf(boxes), sumOf(drawnBoxes)];
  const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(2)} %`;
  const order = classNames.map((_, i) => i).sort((a, b) => boxes[a] - boxes[b]);
  const lines = order.slice(0, listed).map((i) => {
    const counts = `${counted(images[i], "image")}, ${counted(boxes[i], "box", "boxes")}`;
    const weight = weights === null ? "" : `, weight ${weights[i].toFixed(2)}`;
    return `${classNames[i]}: ${counts}, ${percent(boxes[i], all)} → ${percent(drawnBoxes[i], drawn)} of the boxes${weight}`;
  });
  const more = classNames.length - lines.length;
  return more > 0 ? [...lines, `and ${counted(more, "more frequent class", "more frequent classes")}`] : lines;
}
