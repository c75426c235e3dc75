// The error that costs most, as a sentence.
import type { ErrorKind, ObjectSize } from "./error-kinds.js";

/** Errors of a kind in words, such as "missed small objects". */
const words: Record<ErrorKind, (size: string) => string> = {
  class: (size) => `${size}objects taken for another class`,
  localisation: (size) => `inexact boxes of ${size}objects`,
  both: (size) => `${size}detections with wrong class and box`,
  duplicate: (size) => `${size}duplicate detections`,
  background: (size) => `${size}detections where there is nothing`,
  missed: (size) => `missed ${size}objects`,
};

/**
 * What costs most in one sentence, with AP in hundredths: "Missed small objects cost most: 8.1 AP50".
 * @param ofBoxes whether to say that boxes were judged, which needs saying where there are masks
 * @returns null where no error costs anything
 */
export function costliestWords(
  costliest: { kind: ErrorKind; size: ObjectSize | null; lost: number } | null,
  ofBoxes = false,
): string | null {
  if (costliest === null) return null;
  const { kind, size, lost } = costliest;
  const [first, ...rest] = words[kind](size === null ? "" : `${size} `);
  return `${first.toUpperCase()}${rest.join("")} cost most: ${(lost * 100).toFixed(1)} AP50${ofBoxes ? " of boxes" : ""}`;
}
