// Numbers as text for people.

import { grouped } from "../../support/format.js";

export { counted, fraction, grouped } from "../../support/format.js";

/** A number with about three digits: `0.00123`, `12.3`, `4.5e-8`; words for those that are not finite. */
export function brief(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "infinite" : "−infinite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(1).replace("-", "−").replace("e+", "e");
  if (Number.isInteger(value)) return signed(grouped(value));
  const rounded = Number(value.toPrecision(size >= 100 ? 4 : 3));
  return signed(size >= 1000 ? grouped(rounded) : String(rounded));
}

/** A share from 0 to 1 in percent: `12 %`, `0.3 %`, `< 0.01 %`. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value < 0.01) return "< 0.01 %";
  return `${value >= 10 ? value.toFixed(0) : Number(value.toPrecision(2))} %`;
}

/** Bits of headroom with one decimal: `+3.1`, `−2.0`. */
export function bits(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "all zero" : "not finite";
  return `${value > 0 ? "+" : ""}${signed(value.toFixed(1))}`;
}

/** Seconds in the unit that fits: `840 ms`, `12.3 s`, `4 min 05 s`, `3 h 20 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0.9995) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
}

/** Words as a list: `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** Text with a sign that is as wide as a plus. */
const signed = (text: string): string => text.replace("-", "−");
