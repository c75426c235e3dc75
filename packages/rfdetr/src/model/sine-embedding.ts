// Sinusoidal embedding of reference boxes (Vaswani et al. 2017; conditional queries of DAB-DETR, arXiv:2201.12329).
import { ops, type Tensor, tensor } from "@rfdetr/torch";

/**
 * Boxes `[…, 4]` (centre x, centre y, width, height) to `[…, 4n]` in the order y, x, width, height; each coordinate
 * gives n values, sine at even and cosine at odd places, of angle 2π·c / 10000^(2⌊i/2⌋/n).
 * Computed in the dtype of the boxes, which callers keep at float32 or above. `rfdetr.models.transformer:
 * gen_sineembed_for_position`.
 */
export function sineEmbedding(boxes: Tensor, n: number): Tensor {
  const frequencies = Float64Array.from({ length: n / 2 }, (_, i) => (2 * Math.PI) / 10000 ** ((2 * i) / n));
  const order = tensor([1, 0, 2, 3], { dtype: "int64", device: boxes.device });
  const angles = boxes
    .indexSelect(-1, order)
    .unsqueeze(-1)
    .mul(tensor(frequencies, { dtype: boxes.dtype, device: boxes.device }));
  return ops.stack([angles.sin(), angles.cos()], { dim: -1 }).flatten(-3);
}
