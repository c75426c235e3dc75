// Axes of a chart: from values to pixels, with round numbers at the ticks.
import { fontSizes, round, text, tone } from "./figure.js";

/** A range of values, and how it is spread. */
export interface Axis {
  from: number;
  to: number;
  /** Values with a line and a number; others between them are not marked. */
  ticks: readonly number[];
  /** Whether equal factors have equal distances. */
  log?: boolean;
  label?: string;
  /** How the number at a tick is written. */
  write?: (value: number) => string;
}

/** Where a chart lies in its figure, in pixels. */
export interface Area {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The axis from 0 to 1 of a share. */
export const unitAxis = (label: string): Axis => ({
  from: 0,
  to: 1,
  ticks: [0, 0.2, 0.4, 0.6, 0.8, 1],
  label,
  write: (value) => value.toFixed(1),
});

/**
 * An axis that holds all values and ends at round numbers.
 * @param values those that are not finite are not looked at
 * @param count of ticks, about
 */
export function linearAxis(values: Iterable<number>, { count = 4, from = Number.POSITIVE_INFINITY } = {}): Axis {
  const [low, high] = extremes(values, from);
  const step = roundStep((high - low) / count);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  return { from: ticks[0], to: ticks[ticks.length - 1], ticks, write: shortNumber };
}

/** An axis of powers of ten, or of two, that holds all positive values. @param count of ticks, at most */
export function logAxis(values: Iterable<number>, { count = 5, base = 10 } = {}): Axis {
  const positive = [...values].filter((value) => Number.isFinite(value) && value > 0);
  const powers = positive.map((value) => Math.log(value) / Math.log(base));
  const [low, high] = powers.length === 0 ? [0, 1] : [powers.reduce(smaller), powers.reduce(larger)];
  const first = Math.floor(low + 1e-9) - (low === high ? 1 : 0);
  const last = Math.max(first + 1, Math.ceil(high - 1e-9));
  const step = Math.ceil((last - first + 1) / count);
  const ticks: number[] = [];
  for (let p = first; p <= last; p += step) ticks.push(base ** p);
  return { from: base ** first, to: base ** last, ticks, log: true, write: shortNumber };
}

const smaller = (a: number, b: number): number => Math.min(a, b);
const larger = (a: number, b: number): number => Math.max(a, b);

/** Lowest and highest value; a range of some width where there is none. */
function extremes(values: Iterable<number>, from: number): [number, number] {
  let [low, high] = [from, from === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : from];
  for (const value of values) if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * low)];
  return [low, high];
}

/** 1, 2 or 5 times a power of ten, not below `rough`. */
function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * (1 - 1e-9)) as number;
}

/** A number in few characters: 1500 is 1.5k, 0.00015 is 1.5e-4. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e9 || size < 1e-3) return value.toExponential().replace("e+", "e");
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(4)));
}

/** Where values lie in an area, in pixels. Values beyond the ends of an axis lie at its ends. */
export function placesIn({ left, top, width, height }: Area, x: Axis, y: Axis) {
  return {
    x: (value: number) => round(left + share(x, value) * width),
    y: (value: number) => round(top + (1 - share(y, value)) * height),
  };
}

function share({ from, to, log }: Axis, value: number): number {
  const scale = log ? (v: number) => Math.log(Math.max(v, Number.MIN_VALUE)) : (v: number) => v;
  return Math.min(1, Math.max(0, (scale(value) - scale(from)) / (scale(to) - scale(from))));
}

/** Grid lines, numbers and labels of both axes. */
export function drawAxes(area: Area, x: Axis, y: Axis, size: number = fontSizes.tick): string[] {
  const { left, top, width, height } = area;
  const place = placesIn(area, x, y);
  const parts: string[] = [];
  for (const value of y.ticks) {
    parts.push(`<path d="M${left} ${place.y(value)}h${width}" ${tone("grid")} fill="none"/>`);
    const content = (y.write ?? shortNumber)(value);
    parts.push(text(left - 7, place.y(value), content, { size, anchor: "end", middle: true, tone: "soft" }));
  }
  for (const value of x.ticks) {
    parts.push(`<path d="M${place.x(value)} ${top}v${height}" ${tone("grid")} fill="none"/>`);
    const content = (x.write ?? shortNumber)(value);
    parts.push(text(place.x(value), top + height + size + 4, content, { size, anchor: "middle", tone: "soft" }));
  }
  parts.push(`<path d="M${left} ${top}v${height}h${width}" ${tone("axis")} fill="none"/>`);
  if (x.label !== undefined)
    parts.push(text(left + width / 2, top + height + size * 2 + 12, x.label, { anchor: "middle" }));
  if (y.label !== undefined)
    parts.push(text(15, top + height / 2, y.label, { anchor: "middle", middle: true, rotate: -90 }));
  return parts;
}
