// Summary statistics of measurements.

import { smallestOf } from "./lists.js";

/** The middle value, or the mean of the middle two of an even number of values; NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median and minimum of repeated timings, in the unit of the timings. */
export interface Spread {
  median: number;
  min: number;
}

/** @returns the median and the minimum of a list that is not empty */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: smallestOf(values) };
}

/** Spreads of several rounds as one: the median of the medians, and the least of all. */
export function joinSpreads(rounds: readonly Spread[]): Spread {
  return { median: median(rounds.map((each) => each.median)), min: smallestOf(rounds.map((each) => each.min)) };
}

/** Seconds of each of `count` runs of `body`, after `warmup` runs that are not timed. */
export function measure(body: () => void, count: number, warmup: number): number[] {
  for (let i = 0; i < warmup; i++) body();
  return Array.from({ length: count }, () => {
    const start = performance.now();
    body();
    return (performance.now() - start) / 1000;
  });
}
