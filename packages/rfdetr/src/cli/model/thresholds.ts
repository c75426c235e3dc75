// `--threshold`: a number for all classes, and numbers for single ones, or those that the training recorded.
import type { Selection } from "../../predict/selection.js";
import { UsageError } from "../../support/errors.js";
import { either, thresholdText } from "../../support/format.js";
import type { RecordedThresholds } from "../../support/recorded-thresholds.js";
import { didYouMean } from "../../support/suggest.js";
import { numeric, share } from "../context.js";

/** The recorded threshold for all classes, and each class its own. */
const [best, bestByClass] = ["best", "best-by-class"];
/** The words for recorded thresholds. */
export const recordedWords: readonly string[] = [best, bestByClass];

/** What `--threshold` asks for. */
export interface ThresholdRequest {
  all: number | string;
  single: readonly [className: string, threshold: number | string][];
}

/**
 * Reads `0.4`, `heron=0.3`, `best`, `best-by-class` and `heron=best`, which may come in any order.
 * @throws UsageError
 */
export function readThresholds(values: readonly string[]): ThresholdRequest {
  let all: number | string = 0.5;
  const single: [name: string, threshold: number | string][] = [];
  for (const value of values) {
    const at = value.lastIndexOf("=");
    const name = value.slice(0, Math.max(at, 0));
    const given = value.slice(at + 1);
    if (name === "")
      all = value === best || value === bestByClass ? value : shareOrWord("threshold", value, recordedWords);
    else single.push([name, given === best ? best : shareOrWord(`threshold of ${name}`, given, [best])]);
  }
  return { all, single };
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

/** Whether recorded thresholds are asked for. */
export const asksForBest = ({ all, single }: ThresholdRequest): boolean =>
  [all, ...single.map(([, threshold]) => threshold)].some((each) => typeof each === "string");

/**
 * The thresholds that are asked for.
 * @param recorded those of the weights
 * @param weights their name, for the error
 * @param AP50 what their evaluation recorded, where that is known
 * @throws UsageError where recorded ones are asked for and the weights have none
 */
export function thresholdsOf(
  request: ThresholdRequest,
  recorded: RecordedThresholds | null,
  weights: string,
  AP50: number | null = null,
): NonNullable<Selection["threshold"]> {
  const { all, single } = request;
  if (recorded === null && asksForBest(request)) {
    const why =
      AP50 === 0
        ? "no detection was right in the evaluation of its training. Train longer, or give a number, such as --threshold 0.05"
        : "its training recorded no evaluation, or none that any threshold above 0 improves. Give a number, such as --threshold 0.3";
    throw new UsageError(
      `Expected weights with a recorded threshold for --threshold ${best} but ${weights} has none: ${why}`,
    );
  }
  const known: RecordedThresholds = recorded ?? { "*": 0.5 };
  const usual = typeof all === "number" ? all : known["*"];
  const own = all === bestByClass ? Object.entries(known).filter(([name]) => name !== "*") : [];
  const asked = single.map(([name, threshold]): [string, number] => [
    name,
    typeof threshold === "number" ? threshold : Object.hasOwn(known, name) ? known[name] : known["*"],
  ]);
  return own.length + asked.length === 0 ? usual : Object.fromEntries([["*", usual], ...own, ...asked]);
}

/** Recorded thresholds in words. */
export function thresholdInWords(threshold: NonNullable<Selection["threshold"]>): string {
  if (typeof threshold === "number") return thresholdText(threshold);
  const { "*": all, ...classes } = threshold;
  const each = Object.entries(classes).map(([name, value]) => `${name} ${thresholdText(value)}`);
  const [few, more] = [each.slice(0, 8), each.length - 8];
  return `${[...few, ...(more > 0 ? [`${more} more classes`] : []), `all others ${thresholdText(all)}`].join(", ")}`;
}
