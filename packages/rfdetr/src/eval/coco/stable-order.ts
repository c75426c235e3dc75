/** Stable orderings over typed arrays, as NumPy's `argsort(-scores, kind="mergesort")` gives them. */

const RUN = 16;

/**
 * Sorts `order[start..end)` by descending `keys[order[i]]`, equal keys in their given order; `scratch` is as long as
 * `order`.
 */
export function sortDescending(
  keys: Float64Array,
  order: Int32Array,
  start: number,
  end: number,
  scratch: Int32Array,
): void {
  for (let low = start; low < end; low += RUN) insertionSort(keys, order, low, Math.min(low + RUN, end));
  if (end - start <= RUN) return;
  let from = order;
  let to = scratch;
  for (let width = RUN; width < end - start; width *= 2) {
    for (let low = start; low < end; low += 2 * width) {
      merge(keys, from, to, low, Math.min(low + width, end), Math.min(low + 2 * width, end));
    }
    [from, to] = [to, from];
  }
  if (from !== order) for (let i = start; i < end; i++) order[i] = from[i];
}

function insertionSort(keys: Float64Array, order: Int32Array, start: number, end: number): void {
  for (let i = start + 1; i < end; i++) {
    const item = order[i];
    const key = keys[item];
    let j = i;
    while (j > start && keys[order[j - 1]] < key) {
      order[j] = order[j - 1];
      j--;
    }
    order[j] = item;
  }
}

function merge(keys: Float64Array, from: Int32Array, to: Int32Array, low: number, middle: number, high: number): void {
  let left = low;
  let right = middle;
  for (let out = low; out < high; out++) {
    const takeLeft = left < middle && (right >= high || keys[from[left]] >= keys[from[right]]);
    to[out] = takeLeft ? from[left++] : from[right++];
  }
}

/**
 * Indices `0..count) ordered by ascending `keys` (whole numbers below `keyCount`), equal keys in the order of
 * `order`.
 */
export function countingSort(keys: Int32Array, keyCount: number, order: Int32Array): Int32Array {
  const starts = new Int32Array(keyCount + 1);
  for (let i = 0; i < order.length; i++) starts[keys[order[i]] + 1]++;
  for (let k = 0; k < keyCount; k++) starts[k + 1] += starts[k];
  const sorted = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) sorted[starts[keys[order[i]]]++] = order[i];
  return sorted;
}

/** 0, 1, … count − 1. */
export function identityOrder(count: number): Int32Array {
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  return order;
}
