// How far the outputs of an exported file are from those of the model.
import type { GoldenTolerance, RawOutputs } from "../../onnx/goldens.js";
import { compareMasks, type MaskError } from "./compare-masks.js";
import { fewest, leastScore } from "./compared-queries.js";

/** How far two sets of outputs are apart. Errors are those of queries that matter: see {@link compareOutputs}. */
export interface Disagreement {
  /** Queries that were compared. */
  queries: number;
  /** Largest difference of a box coordinate, in pixels of the model's input. */
  boxPx: number;
  score: number;
  /** Queries on one side of the threshold that have no partner on that side. */
  flips: number;
  /** Queries that are beyond the tolerance in box, score or mask. */
  beyond: number;
  /** The best score of either. */
  best: number;
  /** The largest errors of masks, where the model has some. */
  mask?: MaskError;
}

/** A query with its best class. */
interface Query {
  index: number;
  row: number;
  score: number;
  box: readonly number[];
}

/**
 * Compares the outputs of one image. Each query of the model whose best score is 0.1 or more, at least the best 16, is
 * held to the nearest query of the file: candidates of nearly the same score may change places.
 * @param size of the model's input in pixels
 */
export function compareOutputs(
  ours: RawOutputs,
  theirs: RawOutputs,
  size: readonly [height: number, width: number],
  { threshold, tolerance }: { threshold: number; tolerance: GoldenTolerance },
): Disagreement {
  const found: Disagreement = { queries: 0, boxPx: 0, score: 0, flips: 0, beyond: 0, best: 0 };
  for (const query of queriesOf(ours)) {
    const { boxPx, score, other, mask } = nearest(query, ours, theirs, size, tolerance);
    found.queries++;
    found.best = Math.max(found.best, query.score);
    found.boxPx = Math.max(found.boxPx, boxPx);
    found.score = Math.max(found.score, score);
    if (mask !== undefined) found.mask = worseMask(found.mask, mask);
    // What is no detection has any mask: where proposals change places, each meets another learned query.
    const otherMask = mask !== undefined && query.score >= leastScore && mask.apart > (tolerance.mask ?? 0);
    if (boxPx > tolerance.box_px || score > tolerance.score || otherMask) found.beyond++;
    if (query.score >= threshold && other < threshold) found.flips++;
  }
  const withoutMasks = { boxes: theirs.boxes, logits: theirs.logits };
  for (const query of queriesOf(theirs)) {
    found.best = Math.max(found.best, query.score);
    if (query.score >= threshold && nearest(query, withoutMasks, ours, size, tolerance).other < threshold)
      found.flips++;
  }
  return found;
}

/** Both together. */
export function addDisagreement(a: Disagreement, b: Disagreement): Disagreement {
  return {
    queries: a.queries + b.queries,
    boxPx: Math.max(a.boxPx, b.boxPx),
    score: Math.max(a.score, b.score),
    flips: a.flips + b.flips,
    beyond: a.beyond + b.beyond,
    best: Math.max(a.best, b.best),
    ...(b.mask && { mask: worseMask(a.mask, b.mask) }),
  };
}

const worseMask = (a: MaskError | undefined, b: MaskError): MaskError => ({
  logit: Math.max(a?.logit ?? 0, b.logit),
  apart: Math.max(a?.apart ?? 0, b.apart),
});

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

function queriesOf({ boxes, logits }: RawOutputs): Query[] {
  const rows = logits.length / (boxes.length / 4);
  const all = Array.from({ length: boxes.length / 4 }, (_, i): Query => {
    const own = logits.subarray(i * rows, (i + 1) * rows);
    const row = own.reduce((best, logit, at) => (logit > own[best] ? at : best), 0);
    return { index: i, row, score: sigmoid(own[row]), box: [...boxes.subarray(i * 4, i * 4 + 4)] };
  }).sort((a, b) => b.score - a.score);
  return all.filter(({ score }, i) => i < fewest || score >= leastScore);
}

/** What a query of one side is compared with on the other. */
interface Partner {
  boxPx: number;
  score: number;
  /** Its score for the same class. */
  other: number;
  mask?: MaskError;
}

/**
 * The error against the query that is nearest in box and score, and of several within the tolerance in mask; NaN is as
 * far as can be.
 */
function nearest(
  { index, row, score, box }: Query,
  own: RawOutputs,
  { boxes, logits, masks }: RawOutputs,
  [height, width]: readonly [number, number],
  tolerance: GoldenTolerance,
): Partner {
  const rows = logits.length / (boxes.length / 4);
  const sides = [width, height, width, height];
  const far = Number.POSITIVE_INFINITY;
  let best: Partner & { query: number } = { query: 0, boxPx: far, score: far, other: 0 };
  let distance = far;
  for (let i = 0; i < boxes.length / 4; i++) {
    const other = sigmoid(logits[i * rows + row]);
    const boxPx = Math.max(...box.map((side, axis) => Math.abs(side - boxes[i * 4 + axis]) * sides[axis]));
    const error = Math.abs(score - other);
    let apart = boxPx / tolerance.box_px + error / tolerance.score;
    const within = boxPx <= tolerance.box_px && error <= tolerance.score;
    const mask = within && own.masks ? compareMasks(own.masks, index, masks, i) : undefined;
    if (mask !== undefined) apart += mask.apart / (tolerance.mask ?? 1);
    // Where masks decide, a query within the tolerance is nearer than any that is not.
    if (!within && own.masks) apart += beyond;
    if (!(apart < distance)) continue;
    distance = apart;
    best = { query: i, boxPx, score: error, other, ...(mask && { mask }) };
  }
  if (own.masks !== undefined) best.mask ??= compareMasks(own.masks, index, masks, best.query);
  return best;
}

/** Farther than any two queries. */
const beyond = 1e9;
