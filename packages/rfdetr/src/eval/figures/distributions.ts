// How values are distributed: bars by class, histograms as lines, and fields of cells.
import { type Area, type Axis, drawAxes, shortNumber } from "./axes.js";
import { fontSizes, roughWidth, round, shortened, text, tone } from "./figure.js";
import { type Line, lineChart } from "./line-chart.js";

/** Colours of the splits, which are no classes. */
export const splitColors: Readonly<Record<string, string>> = { train: "#0072b2", valid: "#d55e00", test: "#009e73" };

/** A value for each of several series. */
export interface Bars {
  name: string;
  values: readonly number[];
}

const rowGap = 6;

/**
 * Horizontal bars, one group for each name, with the numbers behind them.
 * @returns the elements, and their height
 */
export function barGroups(
  area: Omit<Area, "height">,
  rows: readonly Bars[],
  colors: readonly string[],
): { parts: string[]; height: number } {
  const size = fontSizes.tick;
  const bar = colors.length > 1 ? 9 : 14;
  const group = Math.max(size + 3, bar * colors.length) + rowGap;
  const names = Math.min(area.width * 0.36, Math.max(20, ...rows.map(({ name }) => roughWidth(name, size)))) + 8;
  const most = Math.max(1, ...rows.flatMap(({ values }) => values));
  const numbers = Math.max(...rows.flatMap(({ values }) => values.map((v) => roughWidth(shortNumber(v), size)))) + 10;
  const room = area.width - names - numbers;
  const parts = rows.flatMap(({ name, values }, i) => {
    const top = area.top + i * group;
    const middle = top + (group - rowGap) / 2;
    const short = shortened(name, size, names - 8);
    return [
      text(area.left + names - 8, middle, short, { size, anchor: "end", middle: true }),
      ...values.flatMap((value, k) => {
        const y = middle + (k - values.length / 2) * bar;
        const width = Math.max(value > 0 ? 1.5 : 0, (value / most) * room);
        const rect = `<rect x="${round(area.left + names)}" y="${round(y + 0.5)}" width="${round(width)}" height="${bar - 1}" rx="1.5" fill="${colors[k]}"/>`;
        const numberAt = area.left + names + width + 5;
        const number = { size: values.length > 1 ? 11 : 12, middle: true, tone: "soft" } as const;
        return [rect, text(numberAt, y + bar / 2, shortNumber(value), number)];
      }),
    ];
  });
  return { parts, height: rows.length * group };
}

/** A histogram of each series as a line of shares, over bins that are even on the axis. */
export function histogram(
  area: Area,
  x: Axis,
  series: readonly { color: string; values: ArrayLike<number> }[],
  bins = 24,
): string[] {
  const scale = x.log ? Math.log : (value: number) => value;
  const [from, to] = [scale(x.from), scale(x.to)];
  const back = x.log ? Math.exp : (value: number) => value;
  const edges = Array.from({ length: bins + 1 }, (_, i) => back(from + ((to - from) * i) / bins));
  const lines = series
    .filter(({ values }) => values.length > 0)
    .map(({ color, values }): Line => {
      const shares = new Float64Array(bins);
      for (let i = 0; i < values.length; i++) {
        const bin = Math.floor(((scale(values[i]) - from) / (to - from)) * bins);
        shares[Math.min(bins - 1, Math.max(0, bin))] += 1 / values.length;
      }
      // Steps: each bin is a level from edge to edge.
      return {
        color,
        width: 2,
        x: edges.slice(0, bins).flatMap((edge, i) => [edge, edges[i + 1]]),
        y: [...shares].flatMap((share) => [share, share]),
      };
    });
  const highest = Math.max(0.01, ...lines.flatMap(({ y }) => Array.from(y, (value) => value ?? 0)));
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((each) => highest / each <= 5) ?? 0.5;
  const top = Math.ceil(highest / step - 1e-9) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);
  const y: Axis = { from: 0, to: top, ticks, write: (value) => `${Math.round(value * 100)} %` };
  return lineChart(area, x, y, lines, 12);
}

/**
 * How often points fall into the cells of a field; darker is more.
 * @param x values on 0 to 1, also `y`, which grows downwards
 */
export function density(
  area: Area,
  x: Float32Array,
  y: Float32Array,
  axes: { x: Axis; y: Axis },
  cells = 24,
): string[] {
  const counts = new Int32Array(cells * cells);
  const cell = (value: number): number => Math.min(cells - 1, Math.max(0, Math.floor(value * cells)));
  for (let i = 0; i < x.length; i++) counts[cell(y[i]) * cells + cell(x[i])]++;
  const most = Math.max(1, ...counts);
  const [w, h] = [area.width / cells, area.height / cells];
  const drawn: string[] = [];
  const ground = [
    `<rect x="${area.left}" y="${area.top}" width="${area.width}" height="${area.height}" ${tone("faint")}/>`,
  ];
  counts.forEach((count, i) => {
    if (count === 0) return;
    const at = `x="${round(area.left + (i % cells) * w)}" y="${round(area.top + Math.floor(i / cells) * h)}"`;
    const opacity = round(0.08 + 0.92 * Math.sqrt(count / most));
    drawn.push(`<rect ${at} width="${round(w)}" height="${round(h)}" fill-opacity="${opacity}"/>`);
  });
  return [
    ...ground,
    `<g ${tone("fill")} shape-rendering="crispEdges">${drawn.join("")}</g>`,
    ...drawAxes(area, axes.x, axes.y, 12),
  ];
}
