// Post-processing: converts raw outputs to scored boxes in pixels.

import { ops, type Tensor, tensor } from "@rfdetr/torch";
import type { Mask } from "../../masks/mask.js";
import type { Prediction } from "../outputs.js";

/** The k detections of one image as tensors, by descending score. */
export interface ScoredTensors {
  /** `[k]`: 0 to 1, float32 or float64. */
  scores: Tensor;
  /** `[k]` int64: class indices. */
  labels: Tensor;
  /** `[k, 4]`, float32 or float64: left, top, right, bottom in pixels, clamped to the image. */
  boxes: Tensor;
}

/** The k detections of one image as plain arrays, by descending score. */
export interface ScoredBoxes {
  /** `[k × 4]`: left, top, right, bottom in pixels, clamped to the image. */
  boxes: Float32Array;
  /** `[k]`: 0 to 1. */
  scores: Float32Array;
  /** `[k]`: class indices. */
  labels: Int32Array;
  /** `[k]`: the pixels of each in the original image; models with a segmentation head alone have them. */
  masks?: Mask[];
}

/**
 * Selects the `numSelect` (query, class) pairs of each image with the highest scores, and scales their boxes to pixels.
 * There is no background class and no non-maximum suppression, so a query may appear with several labels. Equal scores
 * are ordered by query, then by class. Outputs in float16 or bfloat16 are converted to float32 first. Source:
 * `rfdetr.models.postprocess: PostProcess`.
 * @param outputs logits `[B, N, K]` and boxes `[B, N, 4]`
 * @param sizes height and width in pixels of each original image
 * @param numSelect number of detections for each image; at most N · K are returned
 * @returns the detections of each image, on the CPU; waits for the device
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
  // Every reading from a GPU waits for it: the whole batch is read at once.
  const found = { scores: ordered.narrow(1, 0, k).to("cpu"), labels: labels.to("cpu"), boxes: boxes.to("cpu") };
  return Array.from({ length: batch }, (_, i) => ({
    scores: found.scores.select(0, i),
    labels: found.labels.select(0, i),
    boxes: found.boxes.select(0, i),
  }));
}

/**
 * Copies the detections of one image to plain arrays.
 * @param scored detections of {@link postprocess}, in float32
 */
export function toArrays({ scores, labels, boxes }: ScoredTensors): ScoredBoxes {
  return {
    boxes: boxes.toArray() as Float32Array,
    scores: scores.toArray() as Float32Array,
    labels: Int32Array.from(labels.toArray() as BigInt64Array, Number),
  };
}
