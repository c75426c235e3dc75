// Which of the detections of an image are reported. No import of Node.
import type { Detection } from "../model/types.js";
import type { BestBelow, Candidate } from "../onnx/detections.js";
import { type AskedThresholds, thresholdsOf } from "../support/asked-thresholds.js";
import { UsageError } from "../support/errors.js";
import type { RecordedThresholds } from "../support/recorded-thresholds.js";
import { suggest } from "../support/suggest.js";
import { namesIn, shortList, type Thresholds, thresholdFor, unknownClass } from "../support/thresholds.js";

/** Which detections are reported. */
export interface Selection {
  /**
   * Detections with a score above this are reported; default 0.5. By class name, each class has its own; `*` is that
   * of all others, which is 0.5 if it is left out. `best` is the threshold that the evaluation of the training found
   * best for all classes, as the value of a class the best one of that class; `best-by-class` takes the best one of
   * each.
   */
  threshold?: AskedThresholds;
  /** Names of the classes that are reported; default: all. */
  classes?: readonly string[];
  /** Most detections of an image, the best ones; default: all. */
  maxDetections?: number;
}

/** A selection without words for recorded thresholds. */
export interface KnownSelection extends Omit<Selection, "threshold"> {
  threshold?: Thresholds;
}

/**
 * The detections that a caller wants.
 * @param detections best first
 */
export function select(detections: Detection[], { threshold, classes, maxDetections }: KnownSelection): Detection[] {
  const wanted = classes === undefined ? null : new Set(classes);
  const least = thresholdFor({ threshold });
  return detections
    .filter(({ score, className }) => score > least(className) && (wanted === null || wanted.has(className)))
    .slice(0, maxDetections);
}

/**
 * The best of what is not reported, with the threshold of its class; undefined where the wanted classes have none.
 * @param candidates in any order
 */
export function bestBelow(
  candidates: readonly Candidate[],
  { threshold, classes }: Pick<KnownSelection, "threshold" | "classes">,
): BestBelow | undefined {
  const least = thresholdFor({ threshold });
  let best: Candidate | undefined;
  for (const candidate of candidates)
    if (classes === undefined || classes.includes(candidate.className))
      if (best === undefined || candidate.score > best.score) best = candidate;
  if (best === undefined) return undefined;
  const { classId, className, score } = best;
  return { classId, className, score, threshold: least(className) };
}

/**
 * Options whose thresholds are numbers.
 * @param recorded the thresholds of the weights
 * @param refusal the error where recorded ones are asked for and the weights have none
 */
export function withNumbers<Options extends Pick<Selection, "threshold">>(
  options: Options,
  recorded: RecordedThresholds | null,
  refusal: () => Error,
): Omit<Options, "threshold"> & Pick<KnownSelection, "threshold"> {
  const { threshold, ...others } = options;
  return threshold === undefined ? others : { ...others, threshold: thresholdsOf(threshold, recorded, refusal) };
}

/** Refuses names of classes that a model does not have. @throws UsageError naming those that it has */
export function checkSelection(
  { threshold, classes = [] }: Pick<KnownSelection, "threshold" | "classes">,
  classNames: readonly string[],
): void {
  const name = unknownClass([...classes, ...namesIn(threshold)], classNames);
  if (name === undefined) return;
  const meant = suggest(name, classNames);
  throw new UsageError(
    `Expected a class of the model (${shortList(classNames)}) but received ${name}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
  );
}
