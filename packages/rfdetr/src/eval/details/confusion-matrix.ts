// Which class is taken for which, as counts.

import { checkOptions, type OptionKinds, oneOf, share } from "../../support/options.js";
import type { CocoEvaluator } from "../coco/coco.js";
import type { OrderedTables } from "../coco/ordered-tables.js";
import type { IouType } from "../coco/overlaps.js";
import { countingSort, identityOrder } from "../coco/stable-order.js";

/** Which detections count, and what counts as a match. */
export interface ConfusionMatrixOptions {
  /** Detections count above this score; default 0.25. */
  confidence?: number;
  /** Detections count from this score on, as they do for `best_threshold`, instead of above `confidence`. */
  threshold?: number;
  /** Boxes, or masks, count as the same object above this IoU; default 0.45. */
  iou?: number;
  /** Whether the IoU is that of boxes or of masks; default boxes. */
  iouType?: IouType;
}

/** Counts of (predicted class, true class) pairs; the last row and column are the background. */
export interface ConfusionMatrix {
  /** Class names, then "background". */
  names: string[];
  /**
   * `[size, size]` row-major, size = classes + 1: the row is the predicted class, the column the true one. The row of
   * the background counts missed objects, its column detections where there is no object.
   */
  counts: Int32Array;
  size: number;
  confidence: number;
  iou: number;
}

/**
 * Counts which class is taken for which, as Ultralytics' `ConfusionMatrix` does, whose confidence is 0.25 too. Every
 * detection above the confidence, whatever its class, proposes to the ground truth that it overlaps most. Every ground
 * truth accepts the proposal that overlaps it most. Detections and ground truths without a partner are paired with the
 * background. Equal overlaps, which Ultralytics leaves undefined, go to the earlier ground truth and to the more
 * confident detection. Crowd regions are not ground truth here.
 * @example
 * import { loadFiles } from "rfdetr";
 * import { confusionMatrix } from "rfdetr/eval";
 * const { names, counts } = confusionMatrix(loadFiles("annotations.json", "results.json"), { confidence: 0.5 });
 */
export function confusionMatrix(evaluator: CocoEvaluator, options: ConfusionMatrixOptions = {}): ConfusionMatrix {
  checkOptions("confusionMatrix", options, {
    confidence: share,
    threshold: share,
    iou: share,
    iouType: oneOf("boxes", "masks"),
  } satisfies OptionKinds<ConfusionMatrixOptions>);
  const { threshold, iou = 0.45, iouType } = options;
  const confidence = threshold ?? options.confidence ?? 0.25;
  const isShown = (score: number): boolean =>
    threshold === undefined ? score > confidence : Math.fround(score) >= threshold;
  const tables = evaluator.ordered(iouType);
  const { truths, detections, imageRank } = tables;
  const K = evaluator.classNames.length;
  const size = K + 1;
  const counts = new Int32Array(size * size);
  const images = imageRank.length;
  const truthOrder = countingSort(
    truths.image,
    images,
    identityOrder(truths.length).filter((row) => truths.crowd[row] === 0),
  );
  const confident = identityOrder(detections.length).filter((row) => isShown(detections.score[row]));
  const detectionOrder = countingSort(detections.image, images, confident);

  let g = 0;
  let d = 0;
  for (let image = 0; image < images; image++) {
    const [gStart, dStart] = [g, d];
    while (g < truthOrder.length && truths.image[truthOrder[g]] === image) g++;
    while (d < detectionOrder.length && detections.image[detectionOrder[d]] === image) d++;
    const truthRows = truthOrder.subarray(gStart, g);
    const detectionRows = detectionOrder.subarray(dStart, d);
    const accepted = acceptedDetections(tables, truthRows, detectionRows, iou);
    truthRows.forEach((truth, j) => {
      const row = accepted[j];
      counts[(row < 0 ? K : detections.label[row]) * size + truths.label[truth]]++;
    });
    const used = new Set(accepted);
    for (const row of detectionRows) if (!used.has(row)) counts[detections.label[row] * size + K]++;
  }
  return { names: [...evaluator.classNames, "background"], counts, size, confidence, iou };
}

/** The row of the detection that each ground truth of an image accepts; -1 where it accepts none. */
function acceptedDetections(
  { detections, overlaps }: OrderedTables,
  truthRows: Int32Array,
  detectionRows: Int32Array,
  iou: number,
): Int32Array {
  const accepted = new Int32Array(truthRows.length).fill(-1);
  const overlap = new Float64Array(truthRows.length);
  for (const row of detectionRows) {
    let best = iou;
    let proposed = -1;
    for (let j = 0; j < truthRows.length; j++) {
      const value = overlaps.iou(row, truthRows[j]);
      if (value > best) {
        best = value;
        proposed = j;
      }
    }
    if (proposed < 0) continue;
    const rival = accepted[proposed];
    const better =
      rival < 0 ||
      best > overlap[proposed] ||
      (best === overlap[proposed] && detections.score[row] > detections.score[rival]);
    if (better) {
      accepted[proposed] = row;
      overlap[proposed] = best;
    }
  }
  return accepted;
}
