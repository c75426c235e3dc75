// Intersection over union of boxes in plain arrays. On tensors: `loss/boxes.ts`.

/**
 * IoU of the box at `a[i]` with the box at `b[j]`, both x, y, width, height in pixels (`maskApi.c: bbIou` of
 * pycocotools).
 * @param crowd whether the second box is a crowd region: the union is then the first box alone
 */
export function boxIou(a: Float64Array, i: number, b: Float64Array, j: number, crowd: boolean): number {
  const ax = a[i];
  const ay = a[i + 1];
  const aw = a[i + 2];
  const ah = a[i + 3];
  const bx = b[j];
  const by = b[j + 1];
  const bw = b[j + 2];
  const bh = b[j + 3];
  const width = Math.min(aw + ax, bw + bx) - Math.max(ax, bx);
  if (width <= 0) return 0;
  const height = Math.min(ah + ay, bh + by) - Math.max(ay, by);
  if (height <= 0) return 0;
  const intersection = width * height;
  return intersection / (crowd ? aw * ah : aw * ah + bw * bh - intersection);
}

/** Corners `[n × 4]` (left, top, right, bottom) as x, y, width, height. */
export function cornersToSizes(corners: ArrayLike<number>): Float64Array {
  return Float64Array.from(corners, (value, k) => (k % 4 < 2 ? value : value - corners[k - 2]));
}
