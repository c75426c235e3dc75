// Axes of a chart: which values they show, with round numbers at the ticks.

/** A range of values, and how it is spread. */
export interface Axis {
  from: number;
  to: number;
  /** Values with a line and a number. */
  ticks: readonly number[];
  /** Whether equal factors have equal distances. */
  log?: boolean;
  label?: string;
  /** How the number at a tick is written. */
  write: (value: number) => string;
}

/** The axis from 0 to 1 of a share. */
export const unitAxis = (label: string): Axis => ({ ...linearAxis([0, 1]), label });

/**
 * An axis of equal distances that holds all values.
 * @param values those that are not finite are not looked at
 * @param options.count of ticks, about
 * @param options.tight whether it ends at the least and the greatest value, and not at round numbers; a single value
 *   stands in its middle
 * @param options.whole whether its ticks are whole numbers
 */
export function linearAxis(values: Iterable<number>, { count = 5, tight = false, whole = false } = {}): Axis {
  const [low, high] = (tight ? aboutOf(values, whole) : spanOf(values)) ?? [0, 1];
  const step = roundAbove(Math.max((high - low) / count, whole ? 1 : 0));
  const [start, end] = [low / step, high / step];
  const floor = Math.floor(start + 1e-9);
  const ticks = (
    tight ? wholes(Math.ceil(start - 1e-9), end + 1e-9) : wholes(floor, Math.max(floor + 1, Math.ceil(end - 1e-9)))
  ).map((i) => Number((i * step).toPrecision(12)));
  const [from, to] = tight ? [low, high] : [ticks[0], ticks[ticks.length - 1]];
  return { from, to, ticks, write: writer(step, Math.max(Math.abs(from), Math.abs(to))) };
}

/**
 * An axis of factors that holds all positive values; its ticks are powers of the base, with their doubles and fives
 * between them where they are few.
 * @param options.count of ticks, at most
 */
export function logAxis(values: Iterable<number>, { count = 5, base = 10 } = {}): Axis {
  const span = spanOf([...values].filter((value) => value > 0)) ?? [1, base];
  const [low, high] = span[0] > 0 ? span : [span[1] / 4, span[1]];
  // Over so few factors the round numbers of equal distances are better ticks.
  if (base === 10 && high < 8 * low) return { ...linearAxis([low, high], { tight: true }), log: true };
  const exponent = (value: number): number => Math.log(value) / Math.log(base);
  const round = wholes(Math.floor(exponent(low)) - 1, Math.ceil(exponent(high)) + 1).flatMap((power) =>
    (base === 10 ? [1, 2, 5] : [1]).map((digit) => Number((digit * base ** power).toPrecision(12))),
  );
  const shown = round.slice(
    round.findLastIndex((value) => value <= low * (1 + 1e-9)),
    round.findIndex((value) => value >= high * (1 - 1e-9)) + 1,
  );
  const powers = shown.filter((value) => Math.abs(exponent(value) - Math.round(exponent(value))) < 1e-9);
  const stride = Math.ceil(powers.length / count);
  const ticks = powers.length < 3 ? shown : powers.filter((_, i) => i % stride === 0);
  return {
    from: shown[0],
    to: shown[shown.length - 1],
    ticks,
    log: true,
    write: base === 2 && high > 4096 ? powerOfTwo : shortNumber,
  };
}

/** The share of an axis, from 0 to 1, at which a value lies: one beyond an end at that end. NaN where it has none. */
export function placeOn({ from, to, log = false }: Axis, value: number): number {
  if (log && !(value > 0)) return Number.NaN;
  const scale = log ? Math.log : Number;
  return Math.min(1, Math.max(0, (scale(value) - scale(from)) / (scale(to) - scale(from))));
}

/** The least and the greatest of the finite values; null without any. */
export function extent(values: Iterable<number>): [number, number] | null {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return low > high ? null : [low, high];
}

/** The extent of values; of a single one, a range with it in the middle. */
function aboutOf(values: Iterable<number>, whole: boolean): [number, number] | null {
  const range = extent(values);
  if (range === null || range[0] < range[1]) return range;
  const [value] = range;
  const room = whole || value === 0 ? 0.5 : Math.abs(value) / 2;
  return [value - room, value + room];
}

/** The extent of values; of a single one, a range from 0 to beyond it. */
function spanOf(values: Iterable<number>): [number, number] | null {
  const range = extent(values);
  if (range === null || range[0] < range[1]) return range;
  const [value] = range;
  return value === 0 ? [0, 1] : [Math.min(0, 2 * value), Math.max(0, 2 * value)];
}

const wholes = (from: number, to: number): number[] =>
  Array.from({ length: Math.floor(to - from) + 1 }, (_, i) => from + i);

/** 1, 2 or 5 times a power of ten, not below `rough`. */
function roundAbove(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * (1 - 1e-9)) as number;
}

/** How the numbers of an axis are written: all with the decimals of its steps, in the unit of the largest. */
function writer(step: number, most: number): Axis["write"] {
  if (most < 5e-3) return (value) => (value === 0 ? "0" : signed(Number(value.toPrecision(3)).toExponential()));
  const [unit, name] = most >= 1e9 ? [1e9, "G"] : most >= 1e6 ? [1e6, "M"] : most >= 1e4 ? [1e3, "k"] : [1, ""];
  const decimals = Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9));
  return (value) =>
    value === 0 ? (0).toFixed(unit === 1 ? decimals : 0) : signed(`${(value / unit).toFixed(decimals)}${name}`);
}

/** A number in few characters: 15000 is 15k, 0.00015 is 1.5e-4. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e9 || size < 1e-3) return signed(Number(value.toPrecision(4)).toExponential().replace("e+", "e"));
  if (size >= 1e6) return signed(`${Number((value / 1e6).toPrecision(3))}M`);
  if (size >= 1e4) return signed(`${Number((value / 1e3).toPrecision(3))}k`);
  return signed(String(Number(value.toPrecision(4))));
}

const signed = (number: string): string => number.replace(/^-/, "−");

const superscripts: Readonly<Record<string, string>> = { "-": "⁻" };

/** A power of two as text: 65536 is 2¹⁶. */
export const powerOfTwo = (value: number): string => power(2, Math.round(Math.log2(value)));

/** A power as text: `10⁻³`. */
export const power = (base: number, exponent: number): string =>
  `${base}${String(exponent).replace(/[-\d]/g, (digit) => superscripts[digit] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)])}`;
