import { boxIou } from "../box-iou.js";
import type { CocoEvaluator } from "../coco/coco.js";
import { countingSort, identityOrder } from "../coco/stable-order.js";

/** Which detections count, and what counts as a match. */
export interface ConfusionMatrixOptions {
  /** Detections count above this score; default 0.25. */
  confidence?: number;
  /** Boxes are taken for the same object above this IoU; default 0.45. */
  iou?: number;
}

/** Counts of (predicted class, true class) pairs; the last row and column are the background. */
export interface ConfusionMatrix {
  /** Class names, then "background". */
  names: string[];
  /** `[size, size]` row-major, size = classes + 1: row predicted, column true. Row background: missed; column background: found where nothing is. */
  counts: Int32Array;
  size: number;
  confidence: number;
  iou: number;
}

/**
 * Which class was taken for which, as Ultralytics' `ConfusionMatrix` defines it: whatever its class, every detection above the confidence
 * proposes to the ground truth it overlaps most, every ground truth accepts the proposal that overlaps most; what is left over on either
 * side belongs to the background. Equal overlaps (undefined there) go to the earlier ground truth and the more confident detection. Crowd
 * regions are left out on the side of the ground truth.
 * @example
 * import { loadFiles } from "rfdetr";
 * import { confusionMatrix } from "rfdetr/eval";
 * const { names, counts } = confusionMatrix(loadFiles("annotations.json", "results.json"), { confidence: 0.5 });
 */
export function confusionMatrix(evaluator: CocoEvaluator, { confidence = 0.25, iou = 0.45 }: ConfusionMatrixOptions = {}): ConfusionMatrix {
  const { truths, detections, imageRank } = evaluator.ordered();
  const K = evaluator.classNames.length;
  const size = K + 1;
  const counts = new Int32Array(size * size);
  const images = imageRank.length;
  const truthOrder = countingSort(
    truths.image,
    images,
    identityOrder(truths.length).filter((row) => truths.crowd[row] === 0),
  );
  const confident = identityOrder(detections.length).filter((row) => detections.score[row] > confidence);
  const detectionOrder = countingSort(detections.image, images, confident);

  let g = 0;
  let d = 0;
  for (let image = 0; image < images; image++) {
    const gStart = g;
    const dStart = d;
    while (g < truthOrder.length && truths.image[truthOrder[g]] === image) g++;
    while (d < detectionOrder.length && detections.image[detectionOrder[d]] === image) d++;

    const accepted = new Int32Array(g - gStart).fill(-1);
    const overlap = new Float64Array(g - gStart);
    for (let i = dStart; i < d; i++) {
      const row = detectionOrder[i];
      let best = iou;
      let proposed = -1;
      for (let j = gStart; j < g; j++) {
        const value = boxIou(detections.box, row * 4, truths.box, truthOrder[j] * 4, false);
        if (value > best) {
          best = value;
          proposed = j - gStart;
        }
      }
      if (proposed < 0) continue;
      const rival = accepted[proposed];
      const better =
        rival < 0 || best > overlap[proposed] || (best === overlap[proposed] && detections.score[row] > detections.score[rival]);
      if (better) {
        accepted[proposed] = row;
        overlap[proposed] = best;
      }
    }

    const used = new Set(accepted);
    for (let j = gStart; j < g; j++) {
      const row = accepted[j - gStart];
      counts[(row < 0 ? K : detections.label[row]) * size + truths.label[truthOrder[j]]]++;
    }
    for (let i = dStart; i < d; i++) {
      const row = detectionOrder[i];
      if (!used.has(row)) counts[detections.label[row] * size + K]++;
    }
  }
  return { names: [...evaluator.classNames, "background"], counts, size, confidence, iou };
}
