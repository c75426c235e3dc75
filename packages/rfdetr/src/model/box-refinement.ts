// How predicted deltas change a reference box.
import { ops, type Tensor } from "@rfdetr/torch";

/**
 * A reference box moved by its own size and scaled by an exponential: (δxy·wh + xy, exp(δwh)·wh). Neither is in logit
 * space. Computed in the dtype of the reference, float32 or above. LW-DETR's box reparameterisation, arXiv:2406.03459.
 */
export function refineBoxes(delta: Tensor, reference: Tensor): Tensor {
  const d = delta.to(reference.dtype);
  const [xy, wh] = reference.chunk(2, -1);
  const [dxy, dwh] = d.chunk(2, -1);
  return ops.cat([ops.addcmul(xy, dxy, wh), dwh.exp().mul(wh)], { dim: -1 });
}
