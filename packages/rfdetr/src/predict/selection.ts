// Which of the detections of an image are reported. No import of Node.
import type { Detection } from "../model/types.js";
import type { BestBelow, Candidate } from "../onnx/detections.js";
import { UsageError } from "../support/errors.js";
import { suggest } from "../support/suggest.js";
import { namesIn, shortList, thresholdFor, unknownClass } from "../support/thresholds.js";

/** Which detections are reported. */
export interface Selection {
  /**
   * Detections with a score above this are reported; default 0.5. By class name, each class has its own; `*` is that
   * of all others, which is 0.5 if it is left out.
   */
  threshold?: number | Readonly<Record<string, number>>;
  /** Names of the classes that are reported; default: all. */
  classes?: readonly string[];
  /** Most detections of an image, the best ones; default: all. */
  maxDetections?: number;
}

/**
 * The detections that a caller wants.
 * @param detections best first
 */
export function select(detections: Detection[], { threshold, classes, maxDetections }: Selection): Detection[] {
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
export function bestBelow(candidates: readonly Candidate[], { threshold, classes }: Selection): BestBelow | undefined {
  const least = thresholdFor({ threshold });
  let best: Candidate | undefined;
  for (const candidate of candidates)
    if (classes === undefined || classes.includes(candidate.className))
      if (best === undefined || candidate.score > best.score) best = candidate;
  if (best === undefined) return undefined;
  const { classId, className, score } = best;
  return { classId, className, score, threshold: least(className) };
}

/** Refuses names of classes that a model does not have. @throws UsageError naming those that it has */
export function checkSelection({ threshold, classes = [] }: Selection, classNames: readonly string[]): void {
  const name = unknownClass([...classes, ...namesIn(threshold)], classNames);
  if (name === undefined) return;
  const meant = suggest(name, classNames);
  throw new UsageError(
    `Expected a class of the model (${shortList(classNames)}) but received ${name}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
  );
}
