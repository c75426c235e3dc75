// Thresholds of detections: one for all classes, or one for each by its name. No import of Node.
import { isPlain } from "./plain.js";

/** One threshold for all classes, or those by class name, with `*` for all others. */
export type Thresholds = number | Readonly<Record<string, number>>;

const usual = 0.5;
/** Whether a value is a number from 0 to 1. */
export const isShare = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1;

/** What is accepted as thresholds, in words that follow "Expected". */
export const thresholdsTake = "number from 0 to 1, or an object of those by class name,";

/** Whether a caller's value is thresholds. */
export function areThresholds(value: unknown): boolean {
  return (
    isShare(value) || (isPlain(value) && Object.values(value).every((each) => each === undefined || isShare(each)))
  );
}

/** The classes that have a threshold of their own. */
export const namesIn = (threshold: unknown): string[] =>
  typeof threshold === "object" ? Object.keys(threshold ?? {}).filter((name) => name !== "*") : [];

/** What results call classes without a name. */
const nameless = /^class \d+$/;

/** The first name that no class of a model has. */
export const unknownClass = (names: readonly string[], classNames: readonly string[]): string | undefined =>
  names.find((name) => !classNames.includes(name) && !nameless.test(name));

/** The first names of a list, for a sentence. */
export const shortList = (names: readonly string[]): string =>
  names.slice(0, 20).join(", ") + (names.length > 20 ? ", …" : "");

/** The threshold that no reported detection can be below. */
export function lowestThreshold({ threshold = usual }: { threshold?: Thresholds }): number {
  if (typeof threshold === "number") return threshold;
  return Math.min(threshold["*"] ?? usual, ...Object.values(threshold).filter((each) => each !== undefined));
}

/** The threshold of each class, by its name. */
export function thresholdFor({ threshold = usual }: { threshold?: Thresholds }): (className: string) => number {
  if (typeof threshold === "number") return () => threshold;
  return (name) => (Object.hasOwn(threshold, name) ? threshold[name] : undefined) ?? threshold["*"] ?? usual;
}
