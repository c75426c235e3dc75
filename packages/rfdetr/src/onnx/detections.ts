// Raw outputs to detections, without libtorch: what `model/images/postprocess.ts` computes with it. No import of Node.
import type { Mask } from "../masks/mask.js";
import { areFinite, resizeMasks } from "../masks/resize-masks.js";
import type { ScoredBoxes } from "../model/images/postprocess.js";
import type { Detection } from "../model/types.js";
import type { RawMasks, RawOutputs } from "./goldens.js";

/**
 * Selects the `numSelect` (query, class) pairs of an image with the highest scores, and scales their boxes to pixels.
 * Equal scores are ordered by query, then by class. Source: `rfdetr.models.postprocess: PostProcess`.
 * @param outputs of one image
 * @param leastScore only detections with a score above it get a mask, if the model has them; default: all
 * @returns detections; the score is NaN where the logits of the mask are not finite
 */
export function selectBoxes(
  { boxes, logits, masks }: RawOutputs,
  { width, height }: { width: number; height: number },
  numSelect: number,
  leastScore = -1,
): ScoredBoxes {
  const rows = logits.length / (boxes.length / 4);
  const scores = Float32Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
  const best = bestOf(scores, numSelect);
  const found: ScoredBoxes = {
    boxes: new Float32Array(best.length * 4),
    scores: Float32Array.from(best, (pair) => scores[pair]),
    labels: Int32Array.from(best, (pair) => pair % rows),
  };
  const limits = [width, height];
  const { fround } = Math;
  best.forEach((pair, i) => {
    const query = Math.floor(pair / rows) * 4;
    for (let axis = 0; axis < 2; axis++) {
      const centre = boxes[query + axis];
      const half = fround(Math.max(0, boxes[query + 2 + axis]) * 0.5);
      const inside = (edge: number): number => Math.min(limits[axis], Math.max(0, fround(fround(edge) * limits[axis])));
      found.boxes[i * 4 + axis] = inside(centre - half);
      found.boxes[i * 4 + 2 + axis] = inside(centre + half);
    }
  });
  if (masks === undefined) return found;
  const queries = Array.from(
    best.filter((pair) => scores[pair] > leastScore),
    (pair) => Math.floor(pair / rows),
  );
  const made = masksOf(masks, queries, [height, width]);
  for (const [i, { finite }] of made.entries()) if (!finite) found.scores[i] = Number.NaN;
  return { ...found, masks: made.map(({ mask }) => mask) };
}

/** Whether the boxes and logits of an image are not broken. */
export function hasUsableBoxes({ boxes, logits }: RawOutputs): boolean {
  return boxes.every(Number.isFinite) && !logits.some(Number.isNaN);
}

/** Whether neither the outputs of an image nor the scores of what {@link selectBoxes} made of them are broken. */
export function areUsable(outputs: RawOutputs, { scores }: ScoredBoxes): boolean {
  return hasUsableBoxes(outputs) && !scores.some(Number.isNaN);
}

/** A mask, and whether its logits are finite. */
interface CheckedMask {
  mask: Mask;
  finite: boolean;
}

/** The masks of queries in the image, each query's once. */
function masksOf(
  { logits, height, width }: RawMasks,
  queries: readonly number[],
  image: [number, number],
): CheckedMask[] {
  const area = height * width;
  const made = new Map<number, CheckedMask>();
  for (const query of new Set(queries)) {
    const own = logits.subarray(query * area, (query + 1) * area);
    made.set(query, { mask: resizeMasks(own, 1, [height, width], image)[0], finite: areFinite(own) });
  }
  return queries.map((query) => made.get(query) as CheckedMask);
}

/** Indices of the highest scores, highest first, equal ones in their order. NaN comes first, as libtorch sorts it. */
function bestOf(scores: Float32Array, count: number): Uint32Array {
  const lowest = scores.slice().sort()[Math.max(0, scores.length - count)];
  const rank = (i: number): number => (Number.isNaN(scores[i]) ? 2 : scores[i]);
  return Uint32Array.from([...scores.keys()].filter((i) => !(scores[i] < lowest)))
    .sort((a, b) => rank(b) - rank(a) || a - b)
    .subarray(0, count);
}

/** A name for each row of the class head; null for the last one where it has none, since it belongs to no class. */
export function rowNames(classNames: readonly string[], rows: number): (string | null)[] {
  return Array.from({ length: rows }, (_, row) => classNames[row] ?? (row === rows - 1 ? null : `class ${row}`));
}

const nameOfRow = (names: readonly (string | null)[], row: number): string | null =>
  row in names ? names[row] : `class ${row}`;

/** A class that was seen with a score that is not above a threshold. */
export interface Candidate {
  classId: number;
  className: string;
  score: number;
}

/** The best candidate of an image, and the threshold that kept it from being reported. */
export interface BestBelow extends Candidate {
  threshold: number;
}

/** The best of each class whose scores are not above `threshold`, best first. */
export function listBelow(
  { scores, labels }: ScoredBoxes,
  names: readonly (string | null)[],
  threshold: number,
): Candidate[] {
  const best = new Map<number, Candidate>();
  for (let i = 0; i < scores.length; i++) {
    const classId = labels[i];
    const className = nameOfRow(names, classId);
    if (className === null || scores[i] > threshold || best.has(classId)) continue;
    best.set(classId, { classId, className, score: scores[i] });
  }
  return [...best.values()];
}

/**
 * The detections whose score is above `threshold` as objects, best first. Those of a model with masks have theirs.
 * @param names of the rows of the class head; detections of a row whose name is null are left out
 */
export function listDetections(found: ScoredBoxes, names: readonly (string | null)[], threshold: number): Detection[] {
  const { boxes, scores, labels, masks } = found;
  const detections: Detection[] = [];
  for (let i = 0; i < scores.length && scores[i] > threshold; i++) {
    const className = nameOfRow(names, labels[i]);
    if (className === null) continue;
    const [x1, y1, x2, y2] = boxes.subarray(i * 4, i * 4 + 4);
    const mask = masks === undefined ? {} : { mask: masks[i] };
    detections.push({ box: [x1, y1, x2, y2], score: scores[i], classId: labels[i], className, ...mask });
  }
  return detections;
}
