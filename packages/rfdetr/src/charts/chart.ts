// Charts of lines over axes, as elements for a picture.
import { type Axis, linearAxis, logAxis, placeOn } from "./axis.js";
import { type Color, dashOf, fill, fontSizes, roughWidth, round, stroke, text, tone } from "./svg.js";

/** Where something lies in its picture, in pixels. */
export interface Area {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** A line through points; where a value is missing it is broken. */
export interface Line {
  color: Color;
  x: ArrayLike<number>;
  y: ArrayLike<number | null>;
  /** The extremes of what each point stands for, drawn as a field. */
  low?: ArrayLike<number>;
  high?: ArrayLike<number>;
  /** Stroke width in pixels, 2 if absent; 0 draws none. */
  width?: number;
  dash?: string;
  opacity?: number;
  /** Whether a value stays until the next point, as that of a setting does. */
  steps?: boolean;
  /** Whether each point has a dot. */
  dots?: boolean;
  /** A point to mark with a circle. */
  mark?: readonly [x: number, y: number];
}

/** A value of either axis to draw a line at. */
export interface Limit {
  x?: number;
  y?: number;
  label: string;
  /** Whether the words stand below a line that lies. */
  below?: boolean;
}

/** What a chart shows. */
export interface Chart {
  x: Axis;
  y: Axis;
  /** Later ones lie above earlier ones. */
  lines: readonly Line[];
  limits?: readonly Limit[];
  /** Places on the x axis to mark at the foot of the chart. */
  marks?: readonly number[];
  /** Elements behind the lines. */
  ground?: readonly string[];
  /** Font size of the numbers at the axes. */
  size?: number;
}

/** How the axes of lines are chosen. */
export interface Scales {
  xLabel?: string;
  yLabel?: string;
  /** Of y. `log` and `log2` leave out what is not positive. */
  scale?: "linear" | "log" | "log2";
  /** Values that the y axis holds in any case. */
  include?: readonly number[];
  /** Whether x counts, so that its ticks are whole. */
  counts?: boolean;
  /** Ticks of y, about. */
  count?: number;
}

/** Axes that hold all lines: x from the first point to the last, y to round numbers; null without a point. */
export function axesOf(lines: readonly Line[], options: Scales = {}): Pick<Chart, "x" | "y"> | null {
  const { xLabel, yLabel, scale = "linear", include = [], counts = true, count } = options;
  const there = (y: number | null): y is number => y !== null && Number.isFinite(y) && (scale === "linear" || y > 0);
  const xs = lines.flatMap(({ x, y }) => Array.from(x).filter((_, i) => there(y[i])));
  const ys = lines.flatMap(({ y, low = [], high = [] }) => [y, low, high].flatMap((each) => Array.from(each)));
  if (xs.length === 0) return null;
  const values = [...ys.filter(there), ...include];
  const y =
    scale === "linear" ? linearAxis(values, { count }) : logAxis(values, { count, base: scale === "log" ? 10 : 2 });
  const x = linearAxis(xs, { tight: true, whole: counts });
  return { x: { ...x, label: xLabel }, y: { ...y, label: yLabel } };
}

/** From a value to pixels. */
type Scale = (value: number) => number;

/** Axes, and in them everything that a chart shows. */
export function drawChart(area: Area, chart: Chart): string[] {
  const { left, top, width, height } = area;
  const { x, y, lines, limits = [], marks = [], ground = [] } = chart;
  const px: Scale = (value) => round(left + placeOn(x, value) * width);
  const py: Scale = (value) => round(top + (1 - placeOn(y, value)) * height);
  const triangles = marks.map((at) => `M${px(at)} ${top + height - 7}l3 7h-6z`).join("");
  return [
    ...drawAxes(area, chart, px, py),
    ...ground,
    ...limits.flatMap((limit) => drawLimit(area, limit, px, py)),
    ...lines.flatMap((line) => drawBand(line, px, py)),
    ...lines.flatMap((line) => drawLine(line, px, py)),
    ...(triangles === "" ? [] : [`<path d="${triangles}" ${tone("alarm")}/>`]),
  ];
}

/** Pixels from the numbers of the y axis to its label, and beyond. */
const labelGap = 14;

/** Pixels that the y axis takes on the left of the area, with its label. */
export const roomOf = (y: Axis, size: number = fontSizes.tick): number =>
  Math.max(0, ...y.ticks.map((value) => roughWidth(y.write(value), size))) + labelGap + 1.5 * size;

function drawAxes({ left, top, width, height }: Area, chart: Chart, px: Scale, py: Scale): string[] {
  const { x, y, size = fontSizes.tick } = chart;
  const foot = top + height;
  const [rows, columns] = [y.ticks.map(py), x.ticks.map(px)];
  const grid = [...rows.map((at) => `M${left} ${at}h${width}`), ...columns.map((at) => `M${at} ${top}v${height}`)];
  const ticks = columns.map((at) => `M${at} ${foot}v4`);
  const set = { size, anchor: "middle", tone: "soft" } as const;
  return [
    `<path d="${grid.join("")}" ${tone("grid")} fill="none"/>`,
    `<path d="M${left} ${top}v${height}h${width}${ticks.join("")}" ${tone("axis")} fill="none"/>`,
    ...y.ticks.map((value, i) => text(left - 7, rows[i], y.write(value), { ...set, anchor: "end", middle: true })),
    ...x.ticks.map((value, i) => text(columns[i], foot + size + 5, x.write(value), set)),
    ...(x.label === undefined ? [] : [text(left + width / 2, foot + size * 2 + 12, x.label, set)]),
    ...(y.label === undefined
      ? []
      : [text(left - roomOf(y, size) + size, top + height / 2, y.label, { ...set, rotate: -90 })]),
  ];
}

/** A dashed line with words at its end: over one that stands, on or below one that lies. */
function drawLimit({ left, top, width, height }: Area, limit: Limit, px: Scale, py: Scale): string[] {
  const isUpright = limit.x !== undefined;
  const [x, y] = isUpright ? [px(limit.x as number), top] : [left + width, py(limit.y as number)];
  const at = isUpright
    ? { x, y: y - 4, anchor: "middle" as const }
    : { x: x - 4, y: y + (limit.below ? 13 : -4), anchor: "end" as const };
  return [
    `<path d="${isUpright ? `M${x} ${top}v${height}` : `M${left} ${y}h${width}`}" ${tone("axis")} stroke-dasharray="5 4" fill="none"/>`,
    text(at.x, at.y, limit.label, { size: fontSizes.tick - 1, anchor: at.anchor }),
  ];
}

function drawLine(line: Line, px: Scale, py: Scale): string[] {
  const { x, y, color, width = 2, dash = dashOf(color), opacity, steps = false, mark } = line;
  const is = (i: number): boolean => i >= 0 && i < x.length && y[i] !== null && Number.isFinite(py(y[i] as number));
  const look = opacity === undefined ? "" : ` opacity="${opacity}"`;
  // The only point is all that there is to see.
  const radius = Array.from(x).filter((_, i) => is(i)).length === 1 ? 4 : Math.max(2.5, width);
  const dots: string[] = [];
  let path = "";
  for (let i = 0; i < x.length; i++) {
    if (!is(i)) continue;
    const [cx, cy] = [px(x[i]), py(y[i] as number)];
    path += is(i - 1) ? (steps ? `H${cx}V${cy}` : `L${cx} ${cy}`) : `M${cx} ${cy}`;
    // A line through one point has no length.
    if (line.dots || (!is(i - 1) && !is(i + 1)))
      dots.push(`<circle cx="${cx}" cy="${cy}" r="${radius}" ${fill(color)}${look}/>`);
  }
  const dashes = dash === "" ? "" : ` stroke-dasharray="${dash}"`;
  const shape = `fill="none" ${stroke(color)} stroke-width="${width}" stroke-linejoin="round"${dashes}${look}`;
  const circle = mark && `cx="${px(mark[0])}" cy="${py(mark[1])}" r="5"`;
  return [
    ...(width > 0 && /[LH]/.test(path) ? [`<path d="${path}" ${shape}/>`] : []),
    ...dots,
    ...(circle
      ? [`<circle ${circle} ${tone("page")}/>`, `<circle ${circle} fill="none" ${stroke(color)} stroke-width="2.5"/>`]
      : []),
  ];
}

function drawBand({ x, low, high, color }: Line, px: Scale, py: Scale): string[] {
  if (low === undefined || high === undefined) return [];
  const there = Array.from(x, (_, i) => i).filter((i) => Number.isFinite(py(low[i])) && Number.isFinite(py(high[i])));
  if (there.length < 2) return [];
  const along = (values: ArrayLike<number>): string[] => there.map((i) => `${px(x[i])} ${py(values[i])}`);
  return [`<path d="M${[...along(high), ...along(low).reverse()].join("L")}Z" ${fill(color)} opacity="0.22"/>`];
}
