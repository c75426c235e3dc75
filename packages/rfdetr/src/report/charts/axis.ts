// The axes of charts: which part of the numbers they show, and where their ticks are.

/** An axis: what it shows, and where a value lies on it. */
export interface Axis {
  ticks: { value: number; label: string }[];
  /** 0 at the start of the axis, 1 at its end; NaN for what it cannot show. */
  place: (value: number) => number;
}

/** The least and the greatest of the finite values; null without any. */
export function extent(values: Iterable<number>): [number, number] | null {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/**
 * An axis of equal distances.
 * @param count about so many ticks
 * @param nice whether the axis ends at ticks
 */
export function linearAxis(
  [low, high]: [number, number],
  count: number,
  { label = plain, nice = true }: { label?: (value: number, step: number) => string; nice?: boolean } = {},
): Axis {
  const room = high > low ? high - low : Math.abs(high) || 1;
  const step = niceStep(room / count);
  const start = nice ? Math.floor(low / step) * step : low;
  const end = high > low ? (nice ? Math.ceil(high / step - 1e-9) * step : high) : start + room;
  const ticks: Axis["ticks"] = [];
  for (let i = Math.ceil(start / step - 1e-9); i * step <= end + step * 1e-9; i++) {
    const value = Number((i * step).toPrecision(12));
    ticks.push({ value, label: label(value, step) });
  }
  return { ticks, place: (value) => (value - start) / (end - start) };
}

/**
 * An axis on which equal factors have equal distances, with ticks at powers of `base`; at 2 and 5 times them too where
 * those are few. Values must be positive.
 * @param count at most so many ticks
 */
export function logAxis([low, high]: [number, number], base: 2 | 10, count: number): Axis {
  const log = (value: number): number => (base === 2 ? Math.log2(value) : Math.log10(value));
  const room = Math.max(log(high) - log(low), log(1.2));
  const [start, end] = [log(low) - room * 0.04, log(low) + room * 1.04];
  const powers = ticksBetween(Math.ceil(start), Math.floor(end), count);
  const ticks =
    powers.length >= 2 || base === 2
      ? powers.map((exponent) => ({ value: base ** exponent, label: power(base, exponent) }))
      : fewPowers(10 ** start, 10 ** end);
  return { ticks, place: (value) => (value > 0 ? (log(value) - start) / (end - start) : Number.NaN) };
}

/** Every n-th of some whole numbers, so that they are few. */
function ticksBetween(first: number, last: number, count: number): number[] {
  const stride = Math.max(1, Math.ceil((last - first + 1) / count));
  const ticks: number[] = [];
  for (let tick = first; tick <= last; tick += stride) ticks.push(tick);
  return ticks;
}

/** Ticks of a logarithmic axis of a power of ten or less. */
function fewPowers(low: number, high: number): Axis["ticks"] {
  const step = niceStep((high - low) / 4);
  const values = [1, 2, 5]
    .flatMap((digit) => [-1, 0, 1].map((shift) => digit * 10 ** (Math.floor(Math.log10(low)) + shift)))
    .filter((value) => low <= value && value <= high)
    .sort((a, b) => a - b);
  const ticks =
    values.length >= 3 ? values : ticksBetween(Math.ceil(low / step), Math.floor(high / step), 6).map((i) => i * step);
  return ticks.map((value) => ({ value, label: plain(value, 10 ** Math.floor(Math.log10(Math.min(value, step)))) }));
}

/** The nearest of 1, 2 and 5 times a power of ten. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const rest = step / power;
  return power * (rest < 1.5 ? 1 : rest < 3.5 ? 2 : rest < 7.5 ? 5 : 10);
}

function plain(value: number, step: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(4))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))}k`;
  if (size !== 0 && step < 1e-3)
    return `${Number((value / 10 ** Math.floor(Math.log10(size))).toPrecision(3))}e${Math.floor(Math.log10(size))}`.replaceAll(
      "-",
      "−",
    );
  if (size === 0) return "0";
  return value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace("-", "−");
}

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A power as text: `10⁻³`. */
export function power(base: number, exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => superscripts[Number(digit)]).join("");
  return `${base}${exponent < 0 ? "⁻" : ""}${digits}`;
}
