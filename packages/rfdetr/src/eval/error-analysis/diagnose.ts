// What is wrong with each detection, and what became of each object (TIDE, Bolya et al. 2020, §2.2).
import type { BoxTable } from "../coco/box-table.js";
import type { CocoEvaluator } from "../coco/coco.js";
import type { IouType, Overlaps } from "../coco/overlaps.js";
import { countingSort, identityOrder, sortDescending } from "../coco/stable-order.js";
import type { ErrorKind } from "./error-kinds.js";

/** IoU from which a detection is right. */
export const MATCH_IOU = 0.5;
/** IoU up to which a detection lies on the background. */
export const BACKGROUND_IOU = 0.1;
/** Detections of an image that count, of all classes together. */
export const MAX_DETECTIONS_OF_IMAGE = 100;

/** `ignored`: in a crowd region, or beyond the number of detections that count. */
export type DetectionState = "correct" | "ignored" | Exclude<ErrorKind, "missed">;
/** `unmatched`: no detection found it, but one would, if its class or its box (its mask) were right. */
export type TruthState = "found" | "missed" | "unmatched" | "crowd";

/** The state of every row of an evaluator's tables. */
export interface Diagnosis {
  truths: BoxTable;
  detections: BoxTable;
  /** Of the boxes, or of the masks: what is diagnosed. */
  overlaps: Overlaps;
  /** Rows of the detections that count, image after image in the order of ids, the best first. */
  kept: Int32Array;
  /** Rows of the ground truth, image after image in the order of ids. */
  truthOrder: Int32Array;
  /** `[detections]` */
  states: DetectionState[];
  /** `[detections]` the ground truth that a detection found, found again, or is nearest to; −1 for the background. */
  partner: Int32Array;
  /** `[detections]` 1 where the detection would find its partner if its class or box (mask) were corrected. */
  corrigible: Uint8Array;
  /** `[ground truths]` */
  truthStates: TruthState[];
}

/**
 * Diagnoses all detections of an evaluator as the Python package tidecv 1.0 does at its default thresholds
 * (`tidecv.quantify.TIDEExample`, `TIDERun`), by its boxes or by its masks.
 *
 * The 100 best detections of an image count, whatever their class. The best first, each takes the free ground truth of
 * its class that it overlaps most (of equal overlaps the first), from IoU 0.5 on. One that takes none and lies in a
 * crowd region of its class, with more than half of its area, is ignored. The others are errors: see `errorKinds`, in
 * the order localisation, class, duplicate, background, both. Of the localisation and class errors at one free ground
 * truth, that with the highest score is the one that a correction would let find it.
 */
export function diagnose(evaluator: CocoEvaluator, iouType: IouType = "boxes"): Diagnosis {
  const { truths, detections, imageRank, overlaps } = evaluator.ordered(iouType);
  const truthOrder = byImage(truths, imageRank);
  const detectionOrder = byImage(detections, imageRank);
  const diagnosis: Diagnosis = {
    truths,
    detections,
    overlaps,
    kept: new Int32Array(0),
    truthOrder,
    states: new Array<DetectionState>(detections.length).fill("ignored"),
    partner: new Int32Array(detections.length).fill(-1),
    corrigible: new Uint8Array(detections.length),
    truthStates: new Array<TruthState>(truths.length).fill("missed"),
  };
  const scratch = new Int32Array(detectionOrder.length);
  const examiner = new ImageExaminer(diagnosis);
  let g = 0;
  let d = 0;
  let kept = 0;
  for (let rank = 0; rank < imageRank.length; rank++) {
    const [gStart, dStart] = [g, d];
    while (g < truthOrder.length && imageRank[truths.image[truthOrder[g]]] === rank) g++;
    while (d < detectionOrder.length && imageRank[detections.image[detectionOrder[d]]] === rank) d++;
    sortDescending(detections.score, detectionOrder, dStart, d, scratch);
    const best = detectionOrder.subarray(dStart, Math.min(d, dStart + MAX_DETECTIONS_OF_IMAGE));
    examiner.examine(truthOrder.subarray(gStart, g), best);
    // What is kept never lies behind what is read.
    detectionOrder.copyWithin(kept, dStart, dStart + best.length);
    kept += best.length;
  }
  diagnosis.kept = detectionOrder.slice(0, kept);
  return diagnosis;
}

function byImage(table: BoxTable, imageRank: Int32Array): Int32Array {
  const ranks = Int32Array.from({ length: table.length }, (_, row) => imageRank[table.image[row]]);
  return countingSort(ranks, imageRank.length, identityOrder(table.length));
}

/** The overlap of one detection that is largest, and with which ground truth. */
interface Nearest {
  iou: number;
  truth: number;
}

/** Fills in the states of one image after the other. */
class ImageExaminer {
  constructor(readonly of: Diagnosis) {}

  /** @param rows ground truths of the image @param best its detections that count, the best first */
  examine(rows: Int32Array, best: Int32Array): void {
    const { truths, detections, overlaps: of, states, partner, truthStates } = this.of;
    const objects = rows.filter((row) => truths.crowd[row] === 0);
    const crowds = rows.filter((row) => truths.crowd[row] === 1);
    for (const row of crowds) truthStates[row] = "crowd";
    const overlaps = new Float64Array(best.length * objects.length);
    best.forEach((row, i) => {
      const own = overlaps.subarray(i * objects.length, (i + 1) * objects.length);
      objects.forEach((truth, j) => {
        own[j] = of.iou(row, truth);
      });
      const { iou, truth } = this.#nearest(
        own,
        objects,
        (at) => truths.label[at] === detections.label[row] && truthStates[at] !== "found",
      );
      if (iou < MATCH_IOU) return;
      states[row] = "correct";
      partner[row] = truth;
      truthStates[truth] = "found";
    });
    best.forEach((row, i) => {
      if (states[row] === "correct" || this.#inCrowd(row, crowds)) return;
      this.#judge(row, overlaps.subarray(i * objects.length, (i + 1) * objects.length), objects);
    });
  }

  /** Names the error of a detection that found nothing. */
  #judge(row: number, overlaps: Float64Array, objects: Int32Array): void {
    const { truths, detections, states, partner, truthStates } = this.of;
    const label = detections.label[row];
    const sameClass = this.#nearest(overlaps, objects, (truth) => truths.label[truth] === label);
    const otherClass = this.#nearest(overlaps, objects, (truth) => truths.label[truth] !== label);
    const foundAlready = this.#nearest(
      overlaps,
      objects,
      (truth) => truths.label[truth] === label && truthStates[truth] === "found",
    );
    const any = sameClass.iou >= otherClass.iou ? sameClass : otherClass;
    const set = (state: DetectionState, truth: number): void => {
      states[row] = state;
      partner[row] = truth;
    };
    if (sameClass.iou >= BACKGROUND_IOU && sameClass.iou <= MATCH_IOU) {
      set("localisation", sameClass.truth);
      this.#claim(row, sameClass.truth);
    } else if (otherClass.iou >= MATCH_IOU) {
      set("class", otherClass.truth);
      this.#claim(row, otherClass.truth);
    } else if (foundAlready.iou >= MATCH_IOU) set("duplicate", foundAlready.truth);
    else if (any.iou <= BACKGROUND_IOU) set("background", -1);
    else set("both", any.truth);
  }

  /** The first to claim a free ground truth has the highest score of those that do. */
  #claim(row: number, truth: number): void {
    const { truthStates, corrigible } = this.of;
    if (truthStates[truth] !== "missed") return;
    truthStates[truth] = "unmatched";
    corrigible[row] = 1;
  }

  #nearest(overlaps: Float64Array, objects: Int32Array, counts: (truth: number) => boolean): Nearest {
    const nearest: Nearest = { iou: 0, truth: -1 };
    for (let j = 0; j < objects.length; j++)
      if (overlaps[j] > nearest.iou && counts(objects[j])) {
        nearest.iou = overlaps[j];
        nearest.truth = objects[j];
      }
    return nearest;
  }

  #inCrowd(row: number, crowds: Int32Array): boolean {
    const { truths, detections, overlaps } = this.of;
    return crowds.some(
      (crowd) => truths.label[crowd] === detections.label[row] && overlaps.crowdIou(row, crowd) > MATCH_IOU,
    );
  }
}
