// Forms of a detector on the same images: detections of each, and what two forms differ by.

import type { EvaluationBatch } from "../../eval/batch.js";
import { relabel } from "../../eval/class-map.js";
import { CocoEvaluator } from "../../eval/coco/coco.js";
import { scoreImage } from "../../eval/scored-split.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { selectBoxes } from "../../onnx/detections.js";
import type { RawOutputs } from "../../onnx/goldens.js";
import { smallestOf } from "../../support/lists.js";
import { leastScore } from "../proof/compared-queries.js";
import type { ProofImages } from "../proof/proof-images.js";
import { compareDetections, type Pair } from "./compare-detections.js";

/** An image of a batch. */
export interface Picture {
  batch: EvaluationBatch;
  /** Its place in the batch. */
  index: number;
  /** `[height, width, 3]` at the model's size. */
  pixels: Uint8Array | Float32Array;
  size: readonly [height: number, width: number];
}

/** The first images of a proof, one by one. */
export async function* picturesOf(images: ProofImages, most: number): AsyncGenerator<Picture> {
  let seen = 0;
  for await (const batch of images.batches()) {
    const length = batch.images.length / batch.imageIds.length;
    for (let index = 0; index < batch.imageIds.length; index++) {
      if (seen++ === most) return;
      const pixels = batch.images.subarray(index * length, (index + 1) * length);
      yield { batch, index, pixels, size: [batch.height, batch.width] };
    }
  }
}

/** Two forms on all images. */
export interface FormError {
  /** Detections of the first form that were compared. */
  detections: number;
  /** Of these, detections that the second form lacks. */
  lost: number;
  box_px: { max: number; p99: number; mean: number };
  score: { max: number; p99: number; mean: number };
  flips: number;
  /** Intersection over union of the masks of detections with a score of 0.1 or more, where the model has masks. */
  mask_iou?: { min: number; mean: number };
}

/** Detections of one form on all images. */
export class FormDetections {
  readonly detections: ScoredBoxes[] = [];
  readonly #evaluator: CocoEvaluator | null;

  /** @param split what figures are computed for; null where none are wanted */
  constructor(
    readonly split: ProofImages["split"],
    readonly numSelect: number,
  ) {
    this.#evaluator = split && new CocoEvaluator({ classNames: split.classNames, maxDets: [1, 10, 100] });
  }

  add({ batch, index, size: [height, width] }: Picture, outputs: RawOutputs): void {
    this.detections.push(selectBoxes(outputs, { width, height }, this.numSelect, leastScore));
    if (this.#evaluator === null) return;
    const [originalHeight, originalWidth] = batch.origSizes[index];
    const found = selectBoxes(outputs, { width: originalWidth, height: originalHeight }, this.numSelect);
    const classes = this.split?.classes;
    scoreImage(this.#evaluator, batch, index, found, (all) => (classes === undefined ? all : relabel(all, classes)));
  }

  /** Average precision of boxes, null without ground truth; and where the model has masks, that of these. */
  figures(): { AP: number | null; mask_AP?: number } {
    if (this.#evaluator === null) return { AP: null };
    const { AP, masks } = this.#evaluator.summarize();
    return { AP: AP ?? -1, ...(masks && { mask_AP: masks.AP ?? -1 }) };
  }
}

/** What a second form makes of the detections of a first. */
export function formError(
  first: FormDetections,
  second: FormDetections,
  threshold: number,
): FormError & { pairs: Pair[][] } {
  const comparisons = first.detections.map((each, i) => compareDetections(each, second.detections[i], threshold));
  const pairs = comparisons.map((each) => each.pairs);
  const all = pairs.flat();
  const ious = all.flatMap(({ maskIou }) => maskIou ?? []);
  return {
    detections: all.length,
    lost: all.filter(({ boxPx }) => boxPx === null).length,
    box_px: spread(all.flatMap(({ boxPx }) => boxPx ?? [])),
    score: spread(all.flatMap(({ boxPx, score, other }) => (boxPx === null ? [] : Math.abs(score - other)))),
    flips: comparisons.reduce((sum, { flips }) => sum + flips, 0),
    ...(ious.length > 0 && {
      mask_iou: { min: smallestOf(ious), mean: ious.reduce((a, b) => a + b, 0) / ious.length },
    }),
    pairs,
  };
}

function spread(values: readonly number[]): FormError["box_px"] {
  if (values.length === 0) return { max: 0, p99: 0, mean: 0 };
  const sorted = [...values].sort((a, b) => a - b);
  return {
    max: sorted[sorted.length - 1],
    p99: sorted[Math.ceil(0.99 * sorted.length) - 1],
    mean: values.reduce((a, b) => a + b, 0) / values.length,
  };
}
