// Bars with their names before them and their values behind them.

import { largestOf } from "../support/lists.js";
import { shortNumber } from "./axis.js";
import { type Color, fill, fontSizes, roughWidth, round, shortened, text } from "./svg.js";

/** A bar of each series, with a name. */
export interface Bars {
  name: string;
  /** What the lengths show; 0 or more. */
  values: readonly number[];
  /** The values in words; numbers if absent. */
  words?: readonly string[];
}

const gap = 6;

/**
 * Horizontal bars, one group for each name.
 * @param label says at their foot what their lengths are
 * @returns the elements, and their height
 */
export function drawBars(
  { left, top, width }: { left: number; top: number; width: number },
  rows: readonly Bars[],
  colors: readonly Color[],
  label?: string,
): { parts: string[]; height: number } {
  const size = fontSizes.tick;
  const thick = colors.length > 1 ? 11 : 16;
  const group = Math.max(size + 3, thick * colors.length) + gap;
  const wordsOf = ({ values, words = values.map(shortNumber) }: Bars): readonly string[] => words;
  const widest = (texts: readonly string[], at: number): number =>
    largestOf(
      texts.map((each) => roughWidth(each, at)),
      20,
    );
  const longest = widest(
    rows.map(({ name }) => name),
    size,
  );
  const names = Math.min(width * 0.36, longest) + 8;
  const small = colors.length > 1 ? 11 : 13;
  const room = width - names - widest(rows.flatMap(wordsOf), small) - 8;
  const most = largestOf(
    rows.flatMap(({ values }) => values),
    Number.MIN_VALUE,
  );
  const parts = rows.flatMap((row, i) => {
    const middle = top + i * group + (group - gap) / 2;
    return [
      text(left + names - 8, middle, shortened(row.name, size, names - 8), { size, anchor: "end", middle: true }),
      ...row.values.flatMap((value, k) => {
        const y = middle + (k - row.values.length / 2) * thick;
        const length = Math.max(value > 0 ? 1.5 : 0, (value / most) * room);
        const at = `x="${round(left + names)}" y="${round(y + 0.5)}" width="${round(length)}" height="${thick - 1}"`;
        return [
          `<rect ${at} rx="1.5" ${fill(colors[k])}/>`,
          text(left + names + length + 5, y + thick / 2, wordsOf(row)[k], { size: small, middle: true, tone: "soft" }),
        ];
      }),
    ];
  });
  const height = rows.length * group;
  if (label === undefined) return { parts, height };
  const foot = text(left + names, top + height + 13, label, { size, tone: "soft" });
  return { parts: [...parts, foot], height: height + 22 };
}
