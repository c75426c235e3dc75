// Ground truth and detections in the order in which matching walks them: by class, then by image.
import type { BoxTable } from "./box-table.js";
import { BoxOverlaps, type Overlaps } from "./overlaps.js";
import { countingSort, identityOrder, sortDescending } from "./stable-order.js";

/** The rows of an evaluation ordered by class, then by image id; the detections of an image come best first. */
export interface OrderedTables {
  truths: BoxTable;
  truthOrder: Int32Array;
  detections: BoxTable;
  detectionOrder: Int32Array;
  /** Place of each image (by order of addition) in ascending order of ids. */
  imageRank: Int32Array;
  /** Of the boxes, or of the masks. */
  overlaps: Overlaps;
}

/** Places in the two orders of {@link OrderedTables}: ground truths `gStart..gEnd)`, detections `dStart..dEnd)`. */
export interface RowRange {
  gStart: number;
  gEnd: number;
  dStart: number;
  dEnd: number;
}

/**
 * Orders the rows of two tables, with the overlaps of their boxes. @param ids of the images by order of addition;
 * @param classes their number
 */
export function orderTables(
  truths: BoxTable,
  detections: BoxTable,
  ids: readonly (number | string)[],
  classes: number,
): OrderedTables {
  const imageRank = rankImages(ids);
  return {
    truths,
    truthOrder: byClassAndImage(truths, imageRank, classes),
    detections,
    detectionOrder: bestFirst(detections, byClassAndImage(detections, imageRank, classes)),
    imageRank,
    overlaps: new BoxOverlaps(truths, detections),
  };
}

/** Calls `visit` with the rows of every class, empty ones too. */
export function forEachClass(
  { truths, truthOrder, detections, detectionOrder }: OrderedTables,
  classes: number,
  visit: (label: number, rows: RowRange) => void,
): void {
  let g = 0;
  let d = 0;
  for (let label = 0; label < classes; label++) {
    const gStart = g;
    const dStart = d;
    while (g < truthOrder.length && truths.label[truthOrder[g]] === label) g++;
    while (d < detectionOrder.length && detections.label[detectionOrder[d]] === label) d++;
    visit(label, { gStart, gEnd: g, dStart, dEnd: d });
  }
}

/** Calls `visit` with the rows of every image that has something of a class, in the order of image ids. */
export function forEachImage(
  { truths, truthOrder, detections, detectionOrder, imageRank }: OrderedTables,
  { gStart, gEnd, dStart, dEnd }: RowRange,
  visit: (rows: RowRange) => void,
): void {
  let g = gStart;
  let d = dStart;
  while (g < gEnd || d < dEnd) {
    const truthRank = g < gEnd ? imageRank[truths.image[truthOrder[g]]] : Number.POSITIVE_INFINITY;
    const detectionRank = d < dEnd ? imageRank[detections.image[detectionOrder[d]]] : Number.POSITIVE_INFINITY;
    const rank = Math.min(truthRank, detectionRank);
    const g0 = g;
    const d0 = d;
    while (g < gEnd && imageRank[truths.image[truthOrder[g]]] === rank) g++;
    while (d < dEnd && imageRank[detections.image[detectionOrder[d]]] === rank) d++;
    visit({ gStart: g0, gEnd: g, dStart: d0, dEnd: d });
  }
}

function rankImages(ids: readonly (number | string)[]): Int32Array {
  const compare = (a: number | string, b: number | string) => {
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };
  const sorted = Array.from(identityOrder(ids.length)).sort((a, b) => compare(ids[a], ids[b]));
  const rank = new Int32Array(ids.length);
  sorted.forEach((image, place) => {
    rank[image] = place;
  });
  return rank;
}

function byClassAndImage(table: BoxTable, imageRank: Int32Array, classes: number): Int32Array {
  const ranks = new Int32Array(table.length);
  for (let row = 0; row < table.length; row++) ranks[row] = imageRank[table.image[row]];
  // Least significant key first; both passes are stable.
  const byImage = countingSort(ranks, imageRank.length, identityOrder(table.length));
  return countingSort(table.label, classes, byImage);
}

function bestFirst(table: BoxTable, order: Int32Array): Int32Array {
  const scratch = new Int32Array(order.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (
      end < order.length &&
      table.image[order[end]] === table.image[order[start]] &&
      table.label[order[end]] === table.label[order[start]]
    )
      end++;
    sortDescending(table.score, order, start, end, scratch);
    start = end;
  }
  return order;
}
