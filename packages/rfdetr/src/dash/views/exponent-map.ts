// The exponent histograms of one side of a module over the watched steps, as a picture of rows and columns.
import type { ModuleRecord } from "@rfdetr/amp";
import type { WatchedModule, WatchedSpan } from "../../report/records/watched-spans.js";
import type { Reading } from "../runs/open-run.js";
import type { ExponentMap, LargestValue } from "../wire.js";
import type { NamedImages } from "./images.js";

/** The map of a module; null where it was never watched. */
export function exponentMap(
  { record }: Reading,
  path: string,
  side: "forward" | "gradient",
  names: NamedImages,
): ExponentMap | null {
  const { watched } = record.numerics;
  const seen = watched.map((span) => span[side].find((module) => module.path === path));
  const histograms = seen.flatMap((module) => (module === undefined ? [] : [module.exponents]));
  if (histograms.length === 0) return null;
  const filled = histograms.filter(({ counts }) => counts.length > 0);
  const first = filled.length === 0 ? 0 : Math.min(...filled.map((each) => each.first));
  const end = filled.length === 0 ? 0 : Math.max(...filled.map((each) => each.first + each.counts.length));
  return {
    path,
    side,
    first,
    rows: end - first,
    steps: watched.map(({ last }) => last),
    amax: seen.map((each) => (each !== undefined && Number.isFinite(each.amax) ? each.amax : null)),
    shares: seen.map((each) => sharesOf(each?.exponents, first, end)),
    largest: largestOf(watched, seen, names),
  };
}

/** Sixteenths of log2 below 1, for each exponent; −1 where there is no value. */
function sharesOf(histogram: ModuleRecord["exponents"] | undefined, first: number, end: number): number[] {
  const counts = histogram?.counts ?? [];
  const total = counts.reduce((sum, count) => sum + count, 0);
  return Array.from({ length: end - first }, (_, row) => {
    const count = counts[first + row - (histogram?.first ?? 0)] ?? 0;
    return count === 0 ? -1 : Math.round(-16 * Math.log2(count / total));
  });
}

/** Largest values that are sent. */
const mostLargest = 24;

/** The largest value of each watched step. */
function largestOf(
  spans: readonly WatchedSpan[],
  seen: readonly (WatchedModule | undefined)[],
  names: NamedImages,
): LargestValue[] {
  const values = seen.flatMap((module, i): LargestValue[] => {
    if (module === undefined) return [];
    const { file, largest } = module;
    const { value, index } = largest;
    return [
      {
        step: spans[i].last,
        value: Number.isFinite(value) ? value : null,
        index,
        image: file === undefined ? null : { file, image: names.name(file) },
      },
    ];
  });
  const size = ({ value }: LargestValue): number => (value === null ? Number.POSITIVE_INFINITY : Math.abs(value));
  return values.sort((a, b) => size(b) - size(a)).slice(0, mostLargest);
}
