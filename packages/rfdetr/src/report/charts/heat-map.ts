// Histograms of exponents over time: a column for each watched step, darker where more of the values are.
import { type Html, html } from "../html/html.js";
import { grouped } from "../html/words.js";
import { power } from "./axis.js";
import { chartSize, round, thin } from "./figure.js";
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
  { exponent: 16, label: "float16 overflows above" },
  { exponent: -14, label: "float16 loses bits below" },
  { exponent: -24, label: "float16 has zero below" },
] as const;

const plot = { left: 58, top: 8, right: 8, bottom: 42 } as const;
/** In the middle between what shows on white and what shows on black. */
const colour = [46, 134, 210] as const;

/**
 * Draws the map.
 * @param columns the histograms by time; null where there is none
 * @param steps the last step of each column
 */
export function exponentMap(
  alt: string,
  steps: readonly number[],
  columns: readonly (Exponents | null)[],
  height: number = chartSize.height,
): Html {
  const { width } = chartSize;
  const { low, high } = rangeOf(columns);
  const rows = high - low;
  const foot = height - plot.bottom;
  const py = (exponent: number): number => round(foot - ((exponent - low) / rows) * (foot - plot.top));
  const px = (column: number): number =>
    round(plot.left + ((column + 0.5) / columns.length) * (width - plot.left - plot.right));
  const stride = rows > 60 ? 20 : 10;
  const ticks = Array.from(
    { length: Math.floor(high / stride) - Math.ceil(low / stride) + 1 },
    (_, i) => (Math.ceil(low / stride) + i) * stride,
  );
  const [inner, outer] = [width - plot.left - plot.right, foot - plot.top];
  const area = html`x="${plot.left}" y="${plot.top}" width="${inner}" height="${outer}"`;
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${alt}">
<image ${area} preserveAspectRatio="none" href="${pixels(columns, low, rows)}"/>
<rect class="frame" ${area}/>
${limits.map(({ exponent, label }) => limitLine(py(exponent), label, exponent > 0))}
${ticks.map(
  (exponent) => html`<text x="${plot.left - 6}" y="${py(exponent) + 4}" text-anchor="end">${power(2, exponent)}</text>`,
)}
${thin([...steps.keys()], 5).map((column) => html`<text x="${px(column)}" y="${foot + 16}" text-anchor="middle">${grouped(steps[column])}</text>`)}
<text x="${(plot.left + width - plot.right) / 2}" y="${height - 5}" text-anchor="middle">optimizer step</text>
<text x="13" y="${(plot.top + foot) / 2}" text-anchor="middle" transform="rotate(-90 13 ${(plot.top + foot) / 2})">absolute value</text>
</svg>`;
}

/** A dashed line with its words above or below it. */
function limitLine(y: number, label: string, above: boolean): Html {
  const right = chartSize.width - plot.right;
  return html`<path class="limit" d="M${plot.left} ${y}H${right}"/>
<text class="value" x="${right - 4}" y="${y + (above ? -3 : 13)}" text-anchor="end" font-size="11">${label}</text>`;
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
