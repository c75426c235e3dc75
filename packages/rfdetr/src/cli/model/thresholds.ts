// `--threshold`: a number for all classes, and numbers for single ones, or those that the training recorded.
import { type AskedThreshold, type AskedThresholds, best, bestByClass } from "../../support/asked-thresholds.js";
import { UsageError } from "../../support/errors.js";
import { either, thresholdText } from "../../support/format.js";
import { didYouMean } from "../../support/suggest.js";
import type { Thresholds } from "../../support/thresholds.js";
import { numeric, share } from "../context.js";

/** The words for recorded thresholds. */
export const recordedWords: readonly string[] = [best, bestByClass];

/**
 * Reads `0.4`, `heron=0.3`, `best`, `best-by-class` and `heron=best`, which may come in any order.
 * @throws UsageError
 */
export function readThresholds(values: readonly string[]): AskedThresholds {
  let all: AskedThreshold | typeof bestByClass = 0.5;
  const single: [name: string, threshold: AskedThreshold][] = [];
  for (const value of values) {
    const at = value.lastIndexOf("=");
    const name = value.slice(0, Math.max(at, 0));
    const given = value.slice(at + 1);
    if (name === "")
      all = value === best || value === bestByClass ? value : shareOrWord("threshold", value, recordedWords);
    else single.push([name, given === best ? best : shareOrWord(`threshold of ${name}`, given, [best])]);
  }
  return single.length === 0 ? all : Object.fromEntries([["*", all], ...single]);
}

/** @param words that may stand in place of a number @throws UsageError, which names them where other text was given */
function shareOrWord(name: string, text: string, words: readonly string[]): number {
  const value = numeric(text);
  if (typeof value === "number") return share(name, value);
  const taken = ["number from 0 to 1", ...words];
  throw new UsageError(
    `Expected ${either(taken)} for ${name} but received ${JSON.stringify(text)}${didYouMean(text, words)}`,
  );
}

/** A threshold as an option of the command. */
export const optionText = (value: number | string): string => `--threshold ${value}`;

/** Recorded thresholds in words. */
export function thresholdInWords(threshold: Thresholds): string {
  if (typeof threshold === "number") return thresholdText(threshold);
  const { "*": all, ...classes } = threshold;
  const each = Object.entries(classes).map(([name, value]) => `${name} ${thresholdText(value)}`);
  const [few, more] = [each.slice(0, 8), each.length - 8];
  return `${[...few, ...(more > 0 ? [`${more} more classes`] : []), `all others ${thresholdText(all)}`].join(", ")}`;
}
