// Conversions, IoU and generalised IoU of boxes. The last axis of a tensor holds the four numbers of a box.
import { ops, scope, type Tensor } from "@rfdetr/torch";

/** Smallest denominator of IoU and GIoU. Without it, two empty boxes would give 0 / 0 = NaN. */
const smallest = 1e-7;

/**
 * Converts boxes from centre x, centre y, width, height to left, top, right, bottom. The unit stays as it is. A
 * negative width or height counts as 0. Source: `rfdetr.utilities.box_ops: box_cxcywh_to_xyxy`.
 * @param boxes `[…, 4]`
 * @returns `[…, 4]` in the same dtype
 * @example
 * import { tensor } from "@rfdetr/torch";
 * import { centreToCorners } from "rfdetr/loss";
 * const corners = centreToCorners(tensor([[0.5, 0.5, 0.2, 0.4]])); // [[0.4, 0.3, 0.6, 0.7]]
 */
export function centreToCorners(boxes: Tensor): Tensor {
  const [centre, size] = boxes.chunk(2, -1);
  const half = size.clamp({ min: 0 }).mul(0.5);
  return ops.cat([centre.sub(half), centre.add(half)], { dim: -1 });
}

/**
 * Converts boxes from left, top, right, bottom to centre x, centre y, width, height. The unit stays as it is. Source:
 * `rfdetr.utilities.box_ops: box_xyxy_to_cxcywh`.
 * @param boxes `[…, 4]`
 * @returns `[…, 4]` in the same dtype
 * @example
 * import { tensor } from "@rfdetr/torch";
 * import { cornersToCentre } from "rfdetr/loss";
 * const boxes = cornersToCentre(tensor([[10, 20, 30, 60]])); // [[20, 40, 20, 40]]
 */
export function cornersToCentre(boxes: Tensor): Tensor {
  const [low, high] = boxes.chunk(2, -1);
  return ops.cat([low.add(high).mul(0.5), high.sub(low)], { dim: -1 });
}

/** Area between two corners; 0 where one side is negative. */
function rectangle(low: Tensor, high: Tensor): Tensor {
  const size = high.sub(low).clamp({ min: 0 });
  return size.select(-1, 0).mul(size.select(-1, 1));
}

function area(corners: Tensor): Tensor {
  const [low, high] = corners.chunk(2, -1);
  const size = high.sub(low);
  return size.select(-1, 0).mul(size.select(-1, 1));
}

/**
 * IoU and generalised IoU of two sets of boxes. With U the area of the union and C the area of the smallest enclosing
 * box, GIoU = IoU − (C − U) / C (Rezatofighi et al. 2019, arXiv:1902.09630, algorithm 1). Source:
 * `rfdetr.utilities.box_ops: generalized_box_iou`.
 * @param a `[…, 4]`: left, top, right, bottom
 * @param b `[…, 4]`: left, top, right, bottom. The shapes broadcast: `[N, 1, 4]` with `[M, 4]` compares all pairs.
 * @returns IoU (0 to 1) and GIoU (−1 to 1), each of the broadcast shape without its last axis
 * @example
 * import { tensor } from "@rfdetr/torch";
 * import { overlaps } from "rfdetr/loss";
 * const { iou } = overlaps(tensor([[0, 0, 2, 2]]), tensor([[1, 0, 3, 2]])); // [1/3]
 */
export function overlaps(a: Tensor, b: Tensor): { iou: Tensor; giou: Tensor } {
  const [aLow, aHigh] = a.chunk(2, -1);
  const [bLow, bHigh] = b.chunk(2, -1);
  // Of many boxes the sides are the largest tensors: they go before the next are made.
  const intersection = scope(() => rectangle(ops.maximum(aLow, bLow), ops.minimum(aHigh, bHigh)));
  const union = area(a).add(area(b)).sub(intersection);
  const iou = intersection.div(union.clamp({ min: smallest }));
  const hull = scope(() => rectangle(ops.minimum(aLow, bLow), ops.maximum(aHigh, bHigh)));
  return { iou, giou: iou.sub(hull.sub(union).div(hull.clamp({ min: smallest }))) };
}
