// Box algebra on tensors. Boxes are the last axis of four.
import { ops, type Tensor } from "@rfdetr/torch";

/** Smallest denominator of IoU and GIoU: empty boxes give 0, not NaN. */
const smallest = 1e-7;

/** Centre x, centre y, width, height to left, top, right, bottom. Negative sizes count as zero. */
export function centreToCorners(boxes: Tensor): Tensor {
  const [centre, size] = boxes.chunk(2, -1);
  const half = size.clamp({ min: 0 }).mul(0.5);
  return ops.cat([centre.sub(half), centre.add(half)], { dim: -1 });
}

/** Left, top, right, bottom to centre x, centre y, width, height. */
export function cornersToCentre(boxes: Tensor): Tensor {
  const [low, high] = boxes.chunk(2, -1);
  return ops.cat([low.add(high).mul(0.5), high.sub(low)], { dim: -1 });
}

function area(corners: Tensor): Tensor {
  const [low, high] = corners.chunk(2, -1);
  const size = high.sub(low);
  return size.select(-1, 0).mul(size.select(-1, 1));
}

/**
 * IoU and generalised IoU (Rezatofighi et al. 2019) of boxes given by their corners, element by element; shapes
 * broadcast, so `a [N, 1, 4]` with `b [1, M, 4]` gives all pairs.
 * @returns two tensors of the broadcast shape without its last axis
 */
export function overlaps(a: Tensor, b: Tensor): { iou: Tensor; giou: Tensor } {
  const [aLow, aHigh] = a.chunk(2, -1);
  const [bLow, bHigh] = b.chunk(2, -1);
  const inner = ops.minimum(aHigh, bHigh).sub(ops.maximum(aLow, bLow)).clamp({ min: 0 });
  const intersection = inner.select(-1, 0).mul(inner.select(-1, 1));
  const union = area(a).add(area(b)).sub(intersection);
  const iou = intersection.div(union.clamp({ min: smallest }));
  const outer = ops.maximum(aHigh, bHigh).sub(ops.minimum(aLow, bLow)).clamp({ min: 0 });
  const hull = outer.select(-1, 0).mul(outer.select(-1, 1));
  return { iou, giou: iou.sub(hull.sub(union).div(hull.clamp({ min: smallest }))) };
}
