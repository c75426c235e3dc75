// Which loss scales would have kept the gradients in float16.
import type { ModuleRecord } from "@rfdetr/amp";
import type { NumericsRecord } from "../records/numerics-record.js";
import { type Dtype, isIn, muchFlushed, ownerOf } from "./overall.js";

/** An end of the range: log2 of the loss scale, and the module that sets it. */
export interface ScaleEnd {
  exponent: number;
  path: string | null;
}

/** The loss scales that float16 could have had on all watched steps; null for an end that nothing sets. */
export interface ScaleRange {
  /** Below it, more than 5 % of the gradients of a module become zero. */
  smallest: ScaleEnd | null;
  /** Above it, a gradient overflows: that of a watched step, or one of which a skipped step tells. */
  largest: ScaleEnd | null;
}

/** log2(largest number of float16) is a little below 16; what is below 2^−25 becomes zero. */
const [largest, zeroBelow] = [65504, -25];

/**
 * The range by the gradients that 16-mixed has in float16, of which each watched step has the histogram.
 * @param narrow the narrowest dtype of the run
 */
export function scaleRange({ watched, overflows, skippedRuns }: NumericsRecord, narrow: Dtype): ScaleRange {
  const range: ScaleRange = { smallest: null, largest: null };
  const least = (exponent: number, path: string): void => {
    if (exponent > (range.smallest?.exponent ?? Number.NEGATIVE_INFINITY)) range.smallest = { exponent, path };
  };
  const most = (exponent: number, path: string | null): void => {
    if (exponent < (range.largest?.exponent ?? Number.POSITIVE_INFINITY)) range.largest = { exponent, path };
  };
  for (const { gradient, scale, records, skipped } of watched) {
    if (skipped === records) continue;
    for (const record of gradient) {
      if (!isIn(record, narrow) || !(record.amax > 0) || !Number.isFinite(record.amax)) continue;
      most(Math.floor(Math.log2((scale * largest) / record.amax)), record.path);
      least(Math.ceil(Math.log2(scale) + shiftOf(record)), record.path);
    }
  }
  const paths = new Set(watched.flatMap(({ gradient }) => gradient.map(({ path }) => path)));
  const known = (...names: (string | null)[]): string | null => names.find((name) => name && paths.has(name)) ?? null;
  const below = (scale: number): number => Math.ceil(Math.log2(scale)) - 1;
  for (const { phase, scale, module, bad_parameter } of overflows.entries)
    if (phase === "backward" && scale > 1) most(below(scale), known(module, ownerOf(bad_parameter)));
  for (const { fault, scale, bad_parameter } of skippedRuns.entries)
    if (fault?.includes("gradient") && scale > 1) most(below(scale), known(ownerOf(bad_parameter)));
  return range;
}

/** The powers of two by which the values must grow, or may shrink, so that 5 % of them become zero at most. */
function shiftOf({ exponents: { first, counts }, fp16_flush }: ModuleRecord): number {
  const nonzero = counts.reduce((sum, count) => sum + count, 0);
  const flushed = counts.reduce((sum, count, i) => (first + i < zeroBelow ? sum + count : sum), 0);
  // The share is one of all values, zeros included, which the histogram leaves out.
  const all = fp16_flush > 0 ? Math.max(nonzero, flushed / fp16_flush) : nonzero;
  let below = 0;
  for (const [i, count] of counts.entries()) {
    below += count;
    if (below > muchFlushed * all) return zeroBelow - first - i;
  }
  return Number.NEGATIVE_INFINITY;
}
