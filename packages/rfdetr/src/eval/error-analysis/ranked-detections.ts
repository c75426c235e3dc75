// AP50 of each class with some of its errors corrected.
import { type ObjectSize, objectSizes, sizeOf } from "../../support/object-sizes.js";
import { identityOrder, sortDescending } from "../coco/stable-order.js";
import type { Diagnosis } from "./diagnose.js";
import { type ErrorKind, errorKinds } from "./error-kinds.js";

/** What a detection is for a class: one of its objects found, a wrong detection, or none of it. */
const FIND = 1;
const WRONG = 2;
const ABSENT = 0;

const POINTS = 101;

/** Each pair of a kind and a size is a bit; errors to correct are a mask of them. */
const errorBit = (kind: ErrorKind, size: ObjectSize): number =>
  1 << (errorKinds.indexOf(kind) * objectSizes.length + objectSizes.indexOf(size));

/** The errors of a kind, of all sizes or of one. */
export const errorMask = (kind: ErrorKind, size: ObjectSize | null = null): number =>
  objectSizes.reduce((mask, each) => (size === null || size === each ? mask | errorBit(kind, each) : mask), 0);

/** The detections of one class by descending score, as they are and as they would be. */
export class RankedDetections {
  /** Ground truths, crowds not counted. */
  positives = 0;
  /** Ground truths of state `found`. */
  found = 0;
  /** Missed ground truths: the bit of each. */
  readonly missed: number[] = [];
  readonly #bits: number[] = [];
  readonly #before: number[] = [];
  readonly #after: number[] = [];

  /** @param bit of the error, 0 for none @param before what it is now @param after what it is once corrected */
  add(bit: number, before: number, after: number): void {
    this.#bits.push(bit);
    this.#before.push(before);
    this.#after.push(after);
  }

  /**
   * AP50 with the errors of `mask` corrected: interpolated precision, averaged at the recalls 0, 1/100, … 1. A class of
   * which nothing is left to find has 1.
   */
  averagePrecision(mask: number): number {
    const corrected = this.missed.filter((bit) => (bit & mask) !== 0).length;
    return interpolated(this.#precision(mask), this.positives - corrected);
  }

  /** AP50 if every wrong detection ranked below every right one. */
  withoutFalsePositives(): number {
    return interpolated(new Array<number>(this.found).fill(1), this.positives);
  }

  /** AP50 if the objects that are not found did not exist. */
  withoutFalseNegatives(): number {
    return interpolated(this.#precision(0), this.found);
  }

  /** Precision at each find, the one with the highest score first. */
  #precision(mask: number): number[] {
    const precision: number[] = [];
    let wrong = 0;
    for (let i = 0; i < this.#bits.length; i++) {
      const is = (this.#bits[i] & mask) === 0 ? this.#before[i] : this.#after[i];
      if (is === FIND) precision.push((precision.length + 1) / (precision.length + 1 + wrong));
      else if (is === WRONG) wrong++;
    }
    return precision;
  }
}

/** Every detection of a diagnosis in the classes that it matters for. @param classes their number */
export function rankDetections(diagnosis: Diagnosis, classes: number): RankedDetections[] {
  const { truths, detections, overlaps, kept, states, partner, corrigible, truthStates } = diagnosis;
  const ranked = Array.from({ length: classes }, () => new RankedDetections());
  for (let row = 0; row < truths.length; row++) {
    const own = ranked[truths.label[row]];
    if (truthStates[row] === "crowd") continue;
    own.positives++;
    if (truthStates[row] === "found") own.found++;
    if (truthStates[row] === "missed") own.missed.push(errorBit("missed", sizeOf(overlaps.truthArea[row])));
  }
  const order = identityOrder(kept.length);
  const scores = Float64Array.from(kept, (row) => detections.score[row]);
  sortDescending(scores, order, 0, order.length, new Int32Array(order.length));
  for (const place of order) {
    const row = kept[place];
    const state = states[row];
    if (state === "ignored") continue;
    const own = ranked[detections.label[row]];
    if (state === "correct") {
      own.add(0, FIND, FIND);
      continue;
    }
    const bit = errorBit(state, sizeOfError(diagnosis, row, state));
    const moves = corrigible[row] === 1 && state === "class";
    own.add(bit, WRONG, corrigible[row] === 1 && !moves ? FIND : ABSENT);
    if (moves) ranked[truths.label[partner[row]]].add(bit, ABSENT, FIND);
  }
  return ranked;
}

/** The size of the object that a `class` or `localisation` error is about; of other errors that of the detection. */
export function sizeOfError({ overlaps, partner }: Diagnosis, row: number, state: ErrorKind): ObjectSize {
  const { truthArea, detectionArea } = overlaps;
  return sizeOf(state === "class" || state === "localisation" ? truthArea[partner[row]] : detectionArea[row]);
}

/** @param precision at each find, the first find first */
function interpolated(precision: number[], positives: number): number {
  if (positives === 0) return 1;
  for (let i = precision.length - 1; i > 0; i--) if (precision[i] > precision[i - 1]) precision[i - 1] = precision[i];
  let sum = 0;
  for (let r = 0, i = 0; r < POINTS; r++) {
    while (i < precision.length && (i + 1) / positives < r / (POINTS - 1)) i++;
    if (i < precision.length) sum += precision[i];
  }
  return sum / POINTS;
}
