// What each kind of error costs (TIDE, Bolya et al. 2020).
import { sizeOf } from "../../support/object-sizes.js";
import type { CocoEvaluator } from "../coco/coco.js";
import type { IouType } from "../coco/overlaps.js";
import { type Diagnosis, diagnose } from "./diagnose.js";
import { type ErrorCost, type ErrorKind, errorKinds, type ObjectSize, objectSizes } from "./error-kinds.js";
import { errorMask, type RankedDetections, rankDetections, sizeOfError } from "./ranked-detections.js";

/** What the errors of an evaluation cost. */
export interface ErrorAnalysis {
  /** AP50 of the 100 best detections of each image; null without ground truth. */
  AP50: number | null;
  kinds: Record<ErrorKind, ErrorCost & { sizes: Record<ObjectSize, ErrorCost> }>;
  /** All wrong detections; `lost` is what a rank below all right ones would gain. */
  falsePositives: ErrorCost;
  /** All objects not found; `lost` is what would be gained if they did not exist. */
  falseNegatives: ErrorCost;
  /**
   * Of each class: its errors, and the AP50 that it loses. A `class` error is counted where the detection names the
   * class; it costs both the class that it names and that of the object.
   */
  classes: Record<ErrorKind, ErrorCost>[];
  diagnosis: Diagnosis;
}

/**
 * Says what kinds of error the detections of an evaluator have and how much AP50 each costs, as the Python package
 * tidecv 1.0 does (`tidecv.TIDE.evaluate` with its defaults, modes box and mask). See {@link diagnose} for the kinds.
 *
 * What a kind costs is AP50 with these errors corrected less AP50 as it is. A correction moves a `class` error to the
 * class of its object and a `localisation` error onto its object, where no other does so already; it takes away all
 * other wrong detections of the kind; and objects `missed` no longer count. Costs do not add up: each is taken alone.
 *
 * Here AP50 is the mean over the classes with ground truth, as COCO has it, and a class has 1 once nothing is left to
 * find. tidecv counts a class without ground truth as 0 if it has detections. Detections of equal score keep their
 * order when errors are corrected; tidecv puts errors first.
 * @example
 * import { loadFiles } from "rfdetr";
 * import { errorAnalysis } from "rfdetr/eval";
 * const { kinds } = errorAnalysis(loadFiles("annotations.json", "results.json"));
 * console.log(kinds.missed.count, kinds.missed.lost);
 */
export function errorAnalysis(evaluator: CocoEvaluator, iouType: IouType = "boxes"): ErrorAnalysis {
  const diagnosis = diagnose(evaluator, iouType);
  const ranked = rankDetections(diagnosis, evaluator.classNames.length);
  const scored = ranked.filter(({ positives }) => positives > 0);
  const mean = (figure: (of: RankedDetections) => number): number | null =>
    scored.length === 0 ? null : scored.reduce((sum, each) => sum + figure(each), 0) / scored.length;
  const asIs = ranked.map((each) => each.averagePrecision(0));
  const AP50 = mean((each) => each.averagePrecision(0));
  const gain = (figure: (of: RankedDetections) => number): number => (mean(figure) ?? 0) - (AP50 ?? 0);
  const counts = countErrors(diagnosis, ranked.length);
  const wrong = errorKinds.filter((kind) => kind !== "missed").reduce((sum, kind) => sum + counts.total(kind), 0);
  return {
    AP50,
    kinds: byKind((kind) => ({
      count: counts.total(kind),
      lost: gain((each) => each.averagePrecision(errorMask(kind))),
      sizes: bySize((size) => ({
        count: counts.ofSize(kind, size),
        lost: gain((each) => each.averagePrecision(errorMask(kind, size))),
      })),
    })),
    falsePositives: { count: wrong, lost: gain((each) => each.withoutFalsePositives()) },
    falseNegatives: {
      count: scored.reduce((sum, { positives, found }) => sum + positives - found, 0),
      lost: gain((each) => each.withoutFalseNegatives()),
    },
    classes: ranked.map((each, label) =>
      byKind((kind) => ({
        count: counts.ofClass(kind, label),
        lost: each.positives === 0 ? 0 : each.averagePrecision(errorMask(kind)) - asIs[label],
      })),
    ),
    diagnosis,
  };
}

/** A value for each kind of error. */
function byKind<T>(value: (kind: ErrorKind) => T): Record<ErrorKind, T> {
  return Object.fromEntries(errorKinds.map((kind) => [kind, value(kind)])) as Record<ErrorKind, T>;
}

/** A value for each size of object. */
function bySize<T>(value: (size: ObjectSize) => T): Record<ObjectSize, T> {
  return Object.fromEntries(objectSizes.map((size) => [size, value(size)])) as Record<ObjectSize, T>;
}

interface ErrorCounts {
  total(kind: ErrorKind): number;
  ofSize(kind: ErrorKind, size: ObjectSize): number;
  ofClass(kind: ErrorKind, label: number): number;
}

function countErrors(diagnosis: Diagnosis, classes: number): ErrorCounts {
  const { truths, detections, overlaps, kept, states, truthStates } = diagnosis;
  const sizes = byKind(() => bySize(() => 0));
  const labels = byKind(() => new Int32Array(classes));
  const count = (kind: ErrorKind, size: ObjectSize, label: number): void => {
    sizes[kind][size]++;
    labels[kind][label]++;
  };
  for (const row of kept) {
    const state = states[row];
    if (state !== "correct" && state !== "ignored")
      count(state, sizeOfError(diagnosis, row, state), detections.label[row]);
  }
  for (let row = 0; row < truths.length; row++)
    if (truthStates[row] === "missed") count("missed", sizeOf(overlaps.truthArea[row]), truths.label[row]);
  return {
    total: (kind) => objectSizes.reduce((sum, size) => sum + sizes[kind][size], 0),
    ofSize: (kind, size) => sizes[kind][size],
    ofClass: (kind, label) => labels[kind][label],
  };
}
