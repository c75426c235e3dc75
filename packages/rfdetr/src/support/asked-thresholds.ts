// Thresholds as callers ask for them: numbers, or words for those that the weights recorded.
import { isPlain } from "./plain.js";
import type { RecordedThresholds } from "./recorded-thresholds.js";
import { isShare, type Thresholds } from "./thresholds.js";

/** The recorded threshold for all classes, and each class its own. */
export const [best, bestByClass] = ["best", "best-by-class"] as const;

/** A number from 0 to 1, or the threshold that the weights recorded: of a class, or of all where the class has none. */
export type AskedThreshold = number | "best";

/**
 * One threshold for all classes, or those by class name, with `*` for all others. `best` is the one that the evaluation
 * of the training recorded, `best-by-class`, which stands for all classes only, that of each class.
 */
export type AskedThresholds =
  | AskedThreshold
  | "best-by-class"
  | Readonly<Record<string, AskedThreshold | "best-by-class">>;

/** What is accepted, in words that follow "Expected". */
export const askedTake = 'number from 0 to 1, "best", "best-by-class", or an object of those by class name,';

const isForOne = (value: unknown): boolean => value === best || isShare(value);
const isForAll = (value: unknown): boolean => value === bestByClass || isForOne(value);

/** Whether a caller's value is thresholds. `best-by-class` stands for all classes only. */
export function areAsked(value: unknown): boolean {
  if (!isPlain(value)) return isForAll(value);
  return Object.entries(value).every(
    ([name, each]) => each === undefined || (name === "*" ? isForAll : isForOne)(each),
  );
}

/** Whether recorded thresholds are asked for. */
export const asksForBest = (asked: AskedThresholds | undefined): boolean =>
  typeof asked === "object" ? Object.values(asked).some((each) => typeof each === "string") : typeof asked === "string";

/**
 * The thresholds that are asked for, as numbers.
 * @param recorded those of the weights
 * @param refusal the error where recorded ones are asked for and the weights have none
 */
export function thresholdsOf(
  asked: AskedThresholds,
  recorded: RecordedThresholds | null,
  refusal: () => Error,
): Thresholds {
  if (recorded === null && asksForBest(asked)) throw refusal();
  const known: RecordedThresholds = recorded ?? { "*": 0.5 };
  if (typeof asked === "number") return asked;
  const { "*": all = typeof asked === "string" ? asked : undefined, ...single } =
    typeof asked === "object" ? asked : {};
  const own = all === bestByClass ? Object.entries(known).filter(([name]) => name !== "*") : [];
  const given = Object.entries(single).map(([name, each]): [string, number | undefined] => [
    name,
    typeof each === "string" ? (Object.hasOwn(known, name) ? known[name] : known["*"]) : each,
  ]);
  const usual = typeof all === "string" ? known["*"] : all;
  if (own.length + given.length === 0) return usual ?? {};
  return Object.fromEntries([...(usual === undefined ? [] : [["*", usual]]), ...own, ...given]);
}

/**
 * Why weights without the thresholds that are asked for are refused.
 * @param weights what errors call them
 * @param AP50 of the evaluation of their training, where that is known
 * @param write how thresholds are written where the text is read
 */
export function noRecorded(
  weights: string,
  AP50: number | null = null,
  write = (value: number | string): string => `threshold ${JSON.stringify(value)}`,
): string {
  const why =
    AP50 === 0
      ? `no detection was right in the evaluation of its training. Train longer, or give a number, such as ${write(0.05)}`
      : `its training recorded no evaluation, or none that any threshold above 0 improves. Give a number, such as ${write(0.3)}`;
  return `Expected weights with a recorded threshold for ${write(best)} but ${weights} has none: ${why}`;
}
