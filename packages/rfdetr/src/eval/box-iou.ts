// Intersection over union of boxes in plain arrays. On tensors: `loss/boxes.ts`.

/**
 * IoU of the box at `a[i]` with the box at `b[j]`, both x, y, width, height in pixels (`maskApi.c: bbIou` of
 * pycocotools).
 */
export function boxIou(a: Float64Array, i: number, b: Float64Array, j: number): number {
  const shared = intersection(a, i, b, j);
  return shared === 0 ? 0 : shared / (a[i + 2] * a[i + 3] + b[j + 2] * b[j + 3] - shared);
}

/** The same where the second box is a crowd region: the share of the first box that lies in it. */
export function crowdIou(a: Float64Array, i: number, b: Float64Array, j: number): number {
  const shared = intersection(a, i, b, j);
  return shared === 0 ? 0 : shared / (a[i + 2] * a[i + 3]);
}

function intersection(a: Float64Array, i: number, b: Float64Array, j: number): number {
  const width = Math.min(a[i + 2] + a[i], b[j + 2] + b[j]) - Math.max(a[i], b[j]);
  if (width <= 0) return 0;
  const height = Math.min(a[i + 3] + a[i + 1], b[j + 3] + b[j + 1]) - Math.max(a[i + 1], b[j + 1]);
  return height <= 0 ? 0 : width * height;
}

/** Corners `[n × 4]` (left, top, right, bottom) as x, y, width, height. */
export function cornersToSizes(corners: ArrayLike<number>): Float64Array {
  return Float64Array.from(corners, (value, k) => (k % 4 < 2 ? value : value - corners[k - 2]));
}
