// Post-processing: converts raw outputs to scored boxes in pixels.

import { ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import type { Mask } from "../../masks/mask.js";
import { areFinite, resizeMasks } from "../../masks/resize-masks.js";
import type { MaskFeatures, Prediction } from "../outputs.js";

/** The k detections of one image as tensors, by descending score. */
export interface ScoredTensors {
  /** `[k]`: 0 to 1, float32 or float64. */
  scores: Tensor;
  /** `[k]` int64: class indices. */
  labels: Tensor;
  /** `[k, 4]`, float32 or float64: left, top, right, bottom in pixels, clamped to the image. */
  boxes: Tensor;
  /**
   * The pixels of each in the original image, for the first ones with a score above `leastScore`; models with a
   * segmentation head alone have them. Detections of one query share one mask.
   */
  masks?: Mask[];
}

/** The k detections of one image as plain arrays, by descending score. */
export interface ScoredBoxes {
  /** `[k × 4]`: left, top, right, bottom in pixels, clamped to the image. */
  boxes: Float32Array;
  /** `[k]`: 0 to 1. */
  scores: Float32Array;
  /** `[k]`: class indices. */
  labels: Int32Array;
  /** The pixels of each in the original image, as in {@link ScoredTensors}. */
  masks?: Mask[];
}

/**
 * Selects the `numSelect` (query, class) pairs of each image with the highest scores, and scales their boxes to pixels.
 * There is no non-maximum suppression, so a query may appear with several labels. The row without a class counts as the
 * others do: what lists detections leaves it out. Equal scores are ordered by query, then by class. Outputs in float16
 * or bfloat16 are converted to float32 first. Source:
 * `rfdetr.models.postprocess: PostProcess`.
 * @param outputs logits `[B, N, K]` and boxes `[B, N, 4]`
 * @param sizes height and width in pixels of each original image
 * @param numSelect number of detections for each image; at most N · K are returned
 * @param options `leastScore`: only detections with a score above it get a mask. Default: all
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
  { leastScore = -1 }: { leastScore?: number } = {},
): ScoredTensors[] {
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
  const masks = outputs.predMasks && masksOf(outputs.predMasks, query.to("cpu"), found.scores, sizes, leastScore);
  return Array.from({ length: batch }, (_, i) => ({
    scores: masks ? masks[i].scores : found.scores.select(0, i),
    labels: found.labels.select(0, i),
    boxes: found.boxes.select(0, i),
    ...(masks && { masks: masks[i].masks }),
  }));
}

/** Float64 stays, and any other dtype becomes float32. */
const wide = (x: Tensor): Tensor => (x.dtype === "float64" ? x : x.to("float32"));

/** Elements of logits that are computed at once: 16 MiB in float32. */
const maskChunk = 1 << 22;

/**
 * The masks of the detections with a score above `leastScore`, for each image, and the scores: NaN where the logits of
 * a mask are not finite, so that the detection counts as one that is not finite.
 * @param query `[B, k]` int64 on the CPU: the query of each detection
 * @param scores `[B, k]` on the CPU, descending
 */
function masksOf(
  { spatialFeatures, queryFeatures, bias }: MaskFeatures,
  query: Tensor,
  scores: Tensor,
  sizes: readonly (readonly [height: number, width: number])[],
  leastScore: number,
): { masks: Mask[]; scores: Tensor }[] {
  const [, , height, width] = spatialFeatures.shape;
  const chunk = Math.max(1, Math.floor(maskChunk / (height * width)));
  return sizes.map((size, i) => {
    // NaN is before all numbers.
    const above = (scores.select(0, i).toArray() as Float32Array).findIndex((score) => score <= leastScore);
    const chosen = Array.from(query.select(0, i).toArray() as BigInt64Array, Number);
    const queries = above < 0 ? chosen : chosen.slice(0, above);
    const each = [...new Set(queries)];
    const pixels = wide(spatialFeatures.select(0, i)).flatten(1);
    const masks = new Map<number, Mask>();
    const broken = new Set<number>();
    for (let start = 0; start < each.length; start += chunk) {
      const some = each.slice(start, start + chunk);
      const logits = scope(() => {
        const rows = tensor(some, { dtype: "int64", device: pixels.device });
        const logits = wide(queryFeatures.select(0, i)).indexSelect(0, rows).matmul(pixels).add(wide(bias));
        return logits.to("cpu").toArray() as Float32Array | Float64Array;
      });
      for (const [n, mask] of resizeMasks(logits, some.length, [height, width], size).entries()) {
        masks.set(some[n], mask);
        if (!areFinite(logits.subarray(n * height * width, (n + 1) * height * width))) broken.add(some[n]);
      }
    }
    const places = [...queries.keys()].filter((place) => broken.has(queries[place]));
    const own = scores.select(0, i);
    return {
      masks: queries.map((query) => masks.get(query) as Mask),
      scores: places.length === 0 ? own : ops.indexFill(own, 0, tensor(places, { dtype: "int64" }), Number.NaN),
    };
  });
}

/**
 * Copies the detections of one image to plain arrays.
 * @param scored detections of {@link postprocess}, in float32
 */
export function toArrays({ scores, labels, boxes, masks }: ScoredTensors): ScoredBoxes {
  return {
    boxes: boxes.toArray() as Float32Array,
    scores: scores.toArray() as Float32Array,
    labels: Int32Array.from(labels.toArray() as BigInt64Array, Number),
    ...(masks && { masks }),
  };
}
