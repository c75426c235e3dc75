// Histograms of exponents over time: a column for each watched step, darker where more of the values are.
import { type Axis, linearAxis, powerOfTwo } from "../../charts/axis.js";
import { drawChart } from "../../charts/chart.js";
import type { Html } from "../html/html.js";
import { grouped } from "../html/words.js";
import { areaOf, chartSize, inlineSvg } from "./draw.js";
import { thin } from "./figure.js";
import { fullOpacity, opacityPng } from "./png.js";

/** Counts by binary exponent: `counts[i]` values have 2^(first+i) ≤ |x| < 2^(first+i+1). */
export interface Exponents {
  first: number;
  counts: readonly number[];
}

/** Exponents that every map shows, so that maps can be compared: those of float16, with room for words beyond. */
const always = { low: -31, high: 20 } as const;
/** Exponents beyond are counted with these. */
const never = { low: -80, high: 60 } as const;
/** Where float16 ends, by the exponent from which on, or below which, it is so. */
const limits = [
  { y: 2 ** 16, label: "float16 overflows above" },
  { y: 2 ** -14, label: "float16 loses bits below", below: true },
  { y: 2 ** -24, label: "float16 has zero below", below: true },
] as const;

/** In the middle between what shows on white and what shows on black. */
const colour = [46, 134, 210] as const;

/**
 * Draws the map.
 * @param columns the histograms by time; null where there is none
 * @param steps the last step of each column
 * @param options.float16 whether the ends of float16 are drawn, which is the default
 */
export function exponentMap(
  alt: string,
  steps: readonly number[],
  columns: readonly (Exponents | null)[],
  { height = chartSize.height, float16 = true }: { height?: number; float16?: boolean } = {},
): Html {
  const { low, high } = rangeOf(columns);
  const { ticks } = linearAxis([low, high], { tight: true, count: 7 });
  const y: Axis = {
    from: 2 ** low,
    to: 2 ** high,
    ticks: ticks.map((exponent) => 2 ** exponent),
    log: true,
    write: powerOfTwo,
    label: "absolute value",
  };
  const area = areaOf(y, height);
  const place = `x="${area.left}" y="${area.top}" width="${area.width}" height="${area.height}"`;
  const picture = `<image ${place} preserveAspectRatio="none" href="${pixels(columns, low, high - low)}"/>`;
  const x: Axis = {
    from: -0.5,
    to: columns.length - 0.5,
    ticks: thin([...steps.keys()], 5),
    write: (column) => grouped(steps[column]),
    label: "optimizer step",
  };
  return inlineSvg(alt, height, drawChart(area, { x, y, lines: [], limits: float16 ? limits : [], ground: [picture] }));
}

/** The exponents that a map shows: from `low` to below `high`. */
function rangeOf(columns: readonly (Exponents | null)[]): { low: number; high: number } {
  let { low, high }: { low: number; high: number } = always;
  for (const column of columns) {
    if (column === null || column.counts.length === 0) continue;
    low = Math.min(low, column.first - 1);
    high = Math.max(high, column.first + column.counts.length + 1);
  }
  return { low: Math.max(low, never.low), high: Math.min(high, never.high) };
}

function pixels(columns: readonly (Exponents | null)[], low: number, rows: number): string {
  const opacity = new Uint8Array(rows * columns.length);
  columns.forEach((column, x) => {
    const total = column?.counts.reduce((sum, count) => sum + count, 0) ?? 0;
    column?.counts.forEach((count, i) => {
      if (count === 0) return;
      const row = rows - 1 - Math.min(rows - 1, Math.max(0, column.first + i - low));
      const at = row * columns.length + x;
      // A level for each factor of 2: what one value in ten thousand does can still be seen.
      const level = Math.max(1, Math.round(fullOpacity + Math.log2(count / total)));
      opacity[at] = Math.max(opacity[at], level);
    });
  });
  return opacityPng(opacity, columns.length, rows, colour);
}
