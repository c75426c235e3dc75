// Raw outputs to scored boxes in pixels.

import { ops, type Tensor, tensor } from "@rfdetr/torch";
import type { Prediction } from "./outputs.js";

/** Detections of one image as tensors, best first. */
export interface ScoredTensors {
  /** `[k]` */
  scores: Tensor;
  /** `[k]` class indices, int64. */
  labels: Tensor;
  /** `[k, 4]` left, top, right, bottom in pixels, inside the image. */
  boxes: Tensor;
}

/** Detections of one image as plain arrays, best first. */
export interface ScoredBoxes {
  /** `[k × 4]` left, top, right, bottom in pixels. */
  boxes: Float32Array;
  /** `[k]` */
  scores: Float32Array;
  /** `[k]` class indices. */
  labels: Int32Array;
}

/**
 * The `numSelect` best (query, class) pairs of each image. There is no suppression and no background class: one query
 * may appear with several labels. Ties go to the lowest query, then class. Everything in float32 or above, whatever the
 * outputs' dtype.
 * @param sizes height and width of each original image, in pixels
 * @example
 * import { postprocess, toArrays } from "rfdetr/model";
 * const [first] = postprocess(outputs, [[480, 640]], 100);
 * const { boxes, scores, labels } = toArrays(first);
 */
export function postprocess(
  outputs: Prediction,
  sizes: readonly (readonly [height: number, width: number])[],
  numSelect: number,
): ScoredTensors[] {
  const wide = (x: Tensor): Tensor => (x.dtype === "float64" ? x : x.to("float32"));
  const [batch, queries, classes] = outputs.predLogits.shape;
  const scores = wide(outputs.predLogits).sigmoid().flatten(1);
  const k = Math.min(numSelect, queries * classes);
  const [ordered, order] = ops.sort(scores, true, { dim: 1, descending: true });
  const best = order.narrow(1, 0, k);
  const query = ops.div(best, classes, "floor");
  const labels = best.sub(query.mul(classes));
  const [xy, wh] = wide(outputs.predBoxes).chunk(2, -1);
  const half = wh.clamp({ min: 0 }).mul(0.5);
  const corners = ops.cat([xy.sub(half), xy.add(half)], { dim: -1 });
  const limits = tensor(
    sizes.map(([height, width]) => [[width, height, width, height]]),
    { dtype: corners.dtype, device: corners.device },
  );
  const chosen = corners.gather(1, query.unsqueeze(-1).expand([-1, -1, 4])).mul(limits);
  const boxes = ops.minimum(ops.clamp(chosen, { min: 0 }), limits);
  return Array.from({ length: batch }, (_, i) => ({
    scores: ordered.select(0, i).narrow(0, 0, k),
    labels: labels.select(0, i),
    boxes: boxes.select(0, i),
  }));
}

/** Copies the detections of one image, in float32, out of their tensors. Waits for the device. */
export function toArrays({ scores, labels, boxes }: ScoredTensors): ScoredBoxes {
  return {
    boxes: boxes.toArray() as Float32Array,
    scores: scores.toArray() as Float32Array,
    labels: Int32Array.from(labels.toArray() as BigInt64Array, Number),
  };
}
