// What a list of measured seconds comes to.

export interface Spread {
  median: number;
  min: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0] };
}

/** Seconds of `count` runs of `body` after `warmup` runs that are not measured. */
export function measure(body: () => void, count: number, warmup: number): number[] {
  for (let i = 0; i < warmup; i++) body();
  return Array.from({ length: count }, () => {
    const start = performance.now();
    body();
    return (performance.now() - start) / 1000;
  });
}
