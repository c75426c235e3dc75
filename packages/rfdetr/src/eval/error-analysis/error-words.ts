// The kinds of errors in words. The live page has this module too, so that a kind has one name everywhere.
import type { IouType } from "../coco/overlaps.js";
import type { ErrorKind, ObjectSize } from "./error-kinds.js";

/** A kind of error in words. */
export interface KindWords {
  name: string;
  /** What it is, with the name that TIDE has for it. */
  meaning: string;
}

/**
 * The name and the meaning of each kind of error.
 * @param what is judged
 */
export const kindWords = (what: "box" | "mask"): Readonly<Record<ErrorKind, KindWords>> => ({
  class: { name: "wrong class", meaning: `The ${what} fits an object of another class (TIDE: classification).` },
  localisation: {
    name: `inexact ${what}`,
    meaning: `The class is right, the ${what} only overlaps the object (TIDE: localisation).`,
  },
  both: {
    name: `wrong class and ${what}`,
    meaning: `An object of another class is near, and the ${what} only overlaps it (TIDE: both).`,
  },
  duplicate: { name: "duplicate", meaning: "The object was found already, with a higher score (TIDE: duplicate)." },
  background: { name: "nothing there", meaning: "There is no object at all (TIDE: background)." },
  missed: { name: "missed object", meaning: "No detection found the object (TIDE: missed)." },
});

/** Errors of a kind in words, such as "missed small objects". */
const words: Record<ErrorKind, (size: string, what: "box" | "mask") => string> = {
  class: (size) => `${size}objects taken for another class`,
  localisation: (size, what) => `inexact ${what === "box" ? "boxes" : "masks"} of ${size}objects`,
  both: (size, what) => `${size}detections with wrong class and ${what}`,
  duplicate: (size) => `${size}duplicate detections`,
  background: (size) => `${size}detections where there is nothing`,
  missed: (size) => `missed ${size}objects`,
};

/**
 * What costs most in one sentence: "Missed small objects cost most: 8.1 hundredths of AP50".
 * @param of whether boxes or masks were judged, which needs saying where there are both
 * @returns null where no error costs anything
 */
export function costliestWords(
  costliest: { kind: ErrorKind; size: ObjectSize | null; lost: number } | null,
  of?: IouType,
): string | null {
  if (costliest === null) return null;
  const { kind, size, lost } = costliest;
  const what = of === "masks" ? "mask" : "box";
  const [first, ...rest] = words[kind](size === null ? "" : `${size} `, what);
  const whose = of === undefined ? "" : ` of ${of}`;
  return `${first.toUpperCase()}${rest.join("")} cost most: ${(lost * 100).toFixed(1)} hundredths of AP50${whose}`;
}
