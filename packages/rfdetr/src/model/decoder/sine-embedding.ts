// Sinusoidal positional embedding of reference boxes (Vaswani et al. 2017, arXiv:1706.03762, §3.5; DAB-DETR, Liu et al.
// 2022, arXiv:2201.12329).
import { ops, scope, type Tensor, tensor } from "@rfdetr/torch";

/**
 * Embeds boxes in the order y, x, width, height. Each coordinate c gives n values: the sine (even i) or cosine (odd i)
 * of 2π·c / 10000^(2⌊i/2⌋/n). Source: `rfdetr.models.transformer: gen_sineembed_for_position`.
 * @param boxes `[…, 4]`: centre x, centre y, width, height as fractions of the image; float32 or float64
 * @param n values for each coordinate, an even number
 * @returns `[…, 4n]` in the dtype of the boxes
 */
export function sineEmbedding(boxes: Tensor, n: number): Tensor {
  const frequencies = Float64Array.from({ length: n / 2 }, (_, i) => (2 * Math.PI) / 10000 ** ((2 * i) / n));
  return scope(() => {
    const order = tensor([1, 0, 2, 3], { dtype: "int64", device: boxes.device });
    const angles = boxes
      .indexSelect(-1, order)
      .unsqueeze(-1)
      .mul(tensor(frequencies, { dtype: boxes.dtype, device: boxes.device }));
    return ops.stack([angles.sin(), angles.cos()], { dim: -1 }).flatten(-3);
  });
}
