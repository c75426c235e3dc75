// Lists of any length. The arguments of a call lie on the stack, so that `list.push(...others)` and
// `Math.max(...others)` throw a RangeError for some 120,000 entries, which a dataset may have.

/** Adds entries at the end of another list. */
export function append<T>(list: T[], entries: Iterable<T>): void {
  for (const entry of entries) list.push(entry);
}

/** The largest of some numbers and `least`; NaN where one is NaN. */
export function largestOf(numbers: Iterable<number>, least = Number.NEGATIVE_INFINITY): number {
  let largest = least;
  for (const number of numbers) largest = Math.max(largest, number);
  return largest;
}

/** The smallest of some numbers; infinity where there is none, NaN where one is NaN. */
export function smallestOf(numbers: Iterable<number>): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (const number of numbers) smallest = Math.min(smallest, number);
  return smallest;
}
