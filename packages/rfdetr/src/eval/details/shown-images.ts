// The images of an evaluation that are kept with their boxes: the worst of each kind of error, and some others.

import type { CocoRuns } from "../../masks/coco-runs.js";
import type { BoxTable } from "../coco/box-table.js";
import type { CocoEvaluator } from "../coco/coco.js";
import { identityOrder } from "../coco/stable-order.js";
import type { Diagnosis } from "../error-analysis/diagnose.js";
import { type ErrorKind, errorKinds } from "../error-analysis/error-kinds.js";
import type { CornerBox, DetectionDetails, ImageDetails } from "./evaluation-details.js";

/** Images that are kept for each kind of error. */
const WORST_OF_KIND = 8;
/** Images that are kept beside them, evenly spread over those that are left. */
const ORDINARY = 16;
/** Detections below it are not kept, unless they make the image one of the worst. */
const LOWEST_SCORE = 0.05;

/** How bad an image is for one kind of error. */
interface Badness {
  image: number;
  /** Highest score of such an error; for `missed` the number of errors. */
  first: number;
  /** Their number. */
  count: number;
}

/**
 * The images that are worst for a kind of error, by index, the worst first: those with the most missed objects, or with
 * the wrong detection of the highest score, which is what a user meets at any threshold. Of equal ones that with more
 * such errors comes first, then that which was added first.
 */
function worstImages({ truths, detections, kept, states, truthStates }: Diagnosis, kind: ErrorKind): Badness[] {
  const found = new Map<number, Badness>();
  const add = (image: number, first: (before: number) => number): void => {
    const before = found.get(image) ?? { image, first: Number.NEGATIVE_INFINITY, count: 0 };
    found.set(image, { image, first: first(before.first), count: before.count + 1 });
  };
  if (kind === "missed") {
    for (let row = 0; row < truths.length; row++)
      if (truthStates[row] === "missed") add(truths.image[row], (before) => Math.max(before, 0) + 1);
  } else
    for (const row of kept)
      if (states[row] === kind) add(detections.image[row], (before) => Math.max(before, detections.score[row]));
  return [...found.values()].sort((a, b) => b.first - a.first || b.count - a.count || a.image - b.image);
}

/** The worst images of each kind, the kinds in their order, then ordinary ones in the order of addition. */
export function shownImages(evaluator: CocoEvaluator, diagnosis: Diagnosis): ImageDetails[] {
  const chosen = new Map<number, ImageDetails["worst"]>();
  for (const kind of errorKinds)
    worstImages(diagnosis, kind)
      .slice(0, WORST_OF_KIND)
      .forEach(({ image }, i) => {
        chosen.set(image, [...(chosen.get(image) ?? []), { kind, rank: i + 1 }]);
      });
  const others = Array.from({ length: evaluator.images }, (_, image) => image).filter((image) => !chosen.has(image));
  const step = Math.max(1, others.length / ORDINARY);
  for (let at = 0; at < others.length; at += step) chosen.set(others[Math.floor(at)], []);
  const truthRows = rowsOf(diagnosis.truths, diagnosis.truthOrder, chosen);
  const detectionRows = rowsOf(diagnosis.detections, diagnosis.kept, chosen);
  const masks = masksByRow(evaluator, diagnosis, chosen);
  return [...chosen].map(([image, worst]) => {
    const { id, file = null, width = null, height = null } = evaluator.image(image);
    const own = truthRows.get(image) ?? [];
    const rows = detectionRows.get(image) ?? [];
    return {
      id,
      file,
      width,
      height,
      worst,
      truths: own.map((row) => ({
        box: cornersOf(diagnosis.truths, row),
        label: diagnosis.truths.label[row],
        state: diagnosis.truthStates[row],
        ...masks.truths.get(row),
      })),
      detections: shownDetections(diagnosis, rows, own, worst).map(({ row, ...shown }) => ({
        ...shown,
        ...masks.detections.get(row),
      })),
    };
  });
}

/** @param rows detections of the image, the best first @param truths its ground truths */
function shownDetections(
  { detections, states, partner }: Diagnosis,
  rows: readonly number[],
  truths: readonly number[],
  worst: ImageDetails["worst"],
): (DetectionDetails & { row: number })[] {
  const telling = new Set(worst.map(({ kind }) => rows.find((row) => states[row] === kind)));
  return rows
    .filter((row) => detections.score[row] >= LOWEST_SCORE || telling.has(row))
    .map((row) => ({
      row,
      box: cornersOf(detections, row),
      label: detections.label[row],
      score: Math.round(detections.score[row] * 1e4) / 1e4,
      state: states[row],
      truth: partner[row] < 0 ? null : truths.indexOf(partner[row]),
    }));
}

/** The masks of the chosen images by rows of the tables, which hold the objects of an image in their order. */
function masksByRow(
  evaluator: CocoEvaluator,
  { truths, detections }: Diagnosis,
  chosen: ReadonlyMap<number, unknown>,
): { truths: Map<number, { mask: CocoRuns }>; detections: Map<number, { mask: CocoRuns }> } {
  const found = { truths: new Map<number, { mask: CocoRuns }>(), detections: new Map<number, { mask: CocoRuns }>() };
  const all = { truths, detections };
  for (const of of ["truths", "detections"] as const)
    for (const [image, rows] of rowsOf(all[of], identityOrder(all[of].length), chosen)) {
      // What has no class of the data is in no table.
      const known = evaluator
        .image(image)
        .shownMasks?.[of].filter(({ label }) => label >= 0 && label < evaluator.classNames.length);
      for (const [i, row] of rows.entries()) {
        const mask = known?.[i]?.mask;
        if (mask !== undefined) found[of].set(row, { mask });
      }
    }
  return found;
}

/** Rows of the chosen images, in their order. */
function rowsOf(table: BoxTable, order: Int32Array, chosen: ReadonlyMap<number, unknown>): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  for (const row of order) {
    const image = table.image[row];
    if (!chosen.has(image)) continue;
    const own = rows.get(image);
    if (own === undefined) rows.set(image, [row]);
    else own.push(row);
  }
  return rows;
}

function cornersOf({ box }: BoxTable, row: number): CornerBox {
  const tenth = (value: number): number => Math.round(value * 10) / 10;
  const [x, y, width, height] = box.subarray(row * 4, row * 4 + 4);
  return [tenth(x), tenth(y), tenth(x + width), tenth(y + height)];
}
