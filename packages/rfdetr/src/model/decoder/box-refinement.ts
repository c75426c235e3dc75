// Box refinement: applies predicted deltas to reference boxes.
import { ops, type Tensor } from "@rfdetr/torch";

/**
 * Refines reference boxes (x, y, w, h) with deltas (δx, δy, δw, δh):
 *
 *     (x + δx·w, y + δy·h, exp(δw)·w, exp(δh)·h)
 *
 * This is the box parameterisation of Faster R-CNN (Ren et al. 2015, arXiv:1506.01497, equation 2), which LW-DETR
 * (arXiv:2406.03459) uses in place of DETR's sigmoid. Source: `rfdetr.models.transformer:
 * TransformerDecoder.refpoints_refine`.
 * @param delta `[…, 4]`
 * @param reference `[…, 4]`: centre x, centre y, width, height as fractions of the image; float32 or float64
 * @returns `[…, 4]` in the dtype of the reference, not clamped
 * @example
 * import { tensor } from "@rfdetr/torch";
 * import { refineBoxes } from "rfdetr/model";
 * const boxes = refineBoxes(tensor([[1, 0, 0, 0]]), tensor([[0.5, 0.5, 0.1, 0.2]])); // [[0.6, 0.5, 0.1, 0.2]]
 */
export function refineBoxes(delta: Tensor, reference: Tensor): Tensor {
  const d = delta.to(reference.dtype);
  const [xy, wh] = reference.chunk(2, -1);
  const [dxy, dwh] = d.chunk(2, -1);
  return ops.cat([ops.addcmul(xy, dxy, wh), dwh.exp().mul(wh)], { dim: -1 });
}
