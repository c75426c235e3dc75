// Lines over a common axis, as SVG that takes its colours from the page.
import { type Html, html } from "../html/html.js";
import { grouped } from "../html/words.js";
import { type Axis, extent, linearAxis, logAxis } from "./axis.js";
import { chartSize, lineOf, round } from "./figure.js";

/** A line. Points whose value is not finite are gaps. */
export interface Curve {
  x: readonly number[];
  y: readonly number[];
  /** The extremes of what each point stands for, drawn as an area. */
  low?: readonly number[];
  high?: readonly number[];
  /** The place in the legend. */
  series: number;
  /** Whether the value stays until the next point, as that of a setting does. */
  steps?: boolean;
}

/** What a chart of lines shows. */
export interface LineChart {
  /** What can be seen, in a sentence, for those who cannot see it. */
  alt: string;
  xLabel: string;
  yLabel: string;
  curves: readonly Curve[];
  /** Places on the x axis to mark at the foot of the chart, such as skipped steps. */
  marks?: readonly number[];
  /** Values to draw a line at. */
  limits?: readonly { y: number; label: string }[];
  /** `log` and `log2` leave out what is not positive. */
  scale?: "linear" | "log" | "log2";
  /** What the y axis must at least show. */
  include?: readonly number[];
  /** Whether the x axis counts, so that it has no fractions. */
  counts?: boolean;
}

const plot = { left: 64, top: 12, right: 14, bottom: 46 } as const;

/** Draws the chart; null where there is nothing to draw. */
export function lineChart(options: LineChart): Html | null {
  const { curves, marks = [], limits = [], scale = "linear", include = [] } = options;
  const { width, height } = chartSize;
  const xs = extent(curves.flatMap(({ x, y }) => x.filter((_, i) => Number.isFinite(y[i]))));
  const positive = (value: number): boolean => scale === "linear" || value > 0;
  const shown = curves.flatMap(({ y, low = [], high = [] }) => [...y, ...low, ...high]).filter(positive);
  const ys = extent([...shown, ...include]);
  if (xs === null || ys === null) return null;
  const xAxis = linearAxis(xs, 5, {
    nice: false,
    ...(options.counts === false ? {} : { label: (value) => (Number.isInteger(value) ? grouped(value) : "") }),
  });
  const yAxis = scale === "linear" ? linearAxis(ys, 5) : logAxis(ys, scale === "log2" ? 2 : 10, 6);
  const px = (value: number): number => round(plot.left + xAxis.place(value) * (width - plot.left - plot.right));
  const py = (value: number): number =>
    round(height - plot.bottom - yAxis.place(value) * (height - plot.top - plot.bottom));
  const foot = height - plot.bottom;
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${options.alt}">
${grid(xAxis, yAxis, px, py)}
<text x="${(plot.left + width - plot.right) / 2}" y="${height - 6}" text-anchor="middle">${options.xLabel}</text>
<text x="12" y="${(plot.top + foot) / 2}" text-anchor="middle" transform="rotate(-90 12 ${(plot.top + foot) / 2})">${options.yLabel}</text>
${limits.map(({ y, label }) => html`<path class="limit" d="M${plot.left} ${py(y)}H${width - plot.right}"/><text x="${width - plot.right}" y="${py(y) - 4}" text-anchor="end">${label}</text>`)}
${curves.map((curve) => band(curve, px, py))}
${curves.map((curve) => line(curve, px, py))}
${marks.length > 0 && html`<path class="mark" d="${marks.map((x) => `M${px(x)} ${foot - 7}l3 7h-6z`).join("")}"/>`}
</svg>`;
}

/** From a value to pixels. */
type Scale = (value: number) => number;

function grid(xAxis: Axis, yAxis: Axis, px: Scale, py: Scale): Html {
  const { width, height } = chartSize;
  const foot = height - plot.bottom;
  return html`<path class="grid" fill="none" d="${yAxis.ticks.map(({ value }) => `M${plot.left} ${py(value)}H${width - plot.right}`).join("")}"/>
<path class="axis" fill="none" d="M${plot.left} ${foot}H${width - plot.right}${xAxis.ticks.map(({ value }) => `M${px(value)} ${foot}v4`).join("")}"/>
${yAxis.ticks.map(({ value, label }) => html`<text x="${plot.left - 6}" y="${py(value) + 4}" text-anchor="end">${label}</text>`)}
${xAxis.ticks.map(({ value, label }) => html`<text x="${px(value)}" y="${foot + 18}" text-anchor="middle">${label}</text>`)}`;
}

function line({ x, y, series, steps = false }: Curve, px: Scale, py: Scale): Html {
  let path = "";
  // Points between two gaps: a line through one of them has no length, so it is drawn as a dot.
  const dots: Html[] = [];
  const there = (i: number): boolean => i >= 0 && i < x.length && Number.isFinite(py(y[i]));
  x.forEach((value, i) => {
    if (!there(i)) return;
    const at = py(y[i]);
    if (there(i - 1)) path += steps ? `H${px(value)}V${at}` : `L${px(value)} ${at}`;
    else if (there(i + 1)) path += `M${px(value)} ${at}`;
    else dots.push(html`<circle class="f${series % 8}" cx="${px(value)}" cy="${at}" r="3"/>`);
  });
  return html`${path !== "" && html`<path ${lineOf(series)} d="${path}"/>`}${dots}`;
}

function band({ x, low, high, series }: Curve, px: Scale, py: Scale): Html | null {
  if (low === undefined || high === undefined) return null;
  const there = x.flatMap((_, i) => (Number.isFinite(py(low[i])) && Number.isFinite(py(high[i])) ? [i] : []));
  if (there.length < 2) return null;
  const upper = there.map((i) => `${px(x[i])} ${py(high[i])}`);
  const lower = there.map((i) => `${px(x[i])} ${py(low[i])}`).reverse();
  return html`<path class="band f${series % 8}" d="M${[...upper, ...lower].join("L")}Z"/>`;
}
