// Classification losses of the detector. All take logits `[L, B, N, K]` and the matched entries, and give sums for each
// layer.
import { noGrad, ops, type Tensor, zeros } from "@rfdetr/torch";

/**
 * Kind of the classification loss: IoU-aware (arXiv:1912.05992), position-supervised, varifocal, or focal
 * (arXiv:1708.02002).
 */
export type ClassificationKind = "ia_bce" | "position" | "varifocal" | "focal";

/**
 * Matched entries: flat indices into the logits (int64, layers one after the other, equally many each) and the IoU of
 * each pair (no gradient).
 */
export interface Matched {
  index: Tensor;
  iou: Tensor;
}

const alpha = 0.25;
const gamma = 2;

/**
 * IoU-aware binary cross-entropy (Wu et al. 2020; LW-DETR §3): a matched entry has the soft target t =
 * max(p^α·IoU^(1−α), 0.01), every other one is a negative weighted by p². The weight p² carries gradient, t does not.
 *
 * With softplus σ(z): a negative costs p²·σ(z), a match (1 − t)·z + σ(−z). The sum runs over all entries as negatives
 * and puts the matched ones right afterwards, so that nothing of the size of the logits is scattered into.
 */
function iouAware(logits: Tensor, matched: Matched): Tensor {
  const layers = logits.shape[0];
  const negatives = ops.negativeLoss(logits);
  if (matched.index.numel === 0) return negatives;
  const z = logits.flatten().indexSelect(0, matched.index);
  const p = z.sigmoid();
  const t = noGrad(() =>
    p
      .pow(alpha)
      .mul(matched.iou.pow(1 - alpha))
      .clamp({ min: 0.01 }),
  );
  const asMatch = z.sub(z.mul(t)).add(ops.softplus(z.neg()));
  const asNegative = p.pow(2).mul(ops.softplus(z));
  return negatives.add(asMatch.sub(asNegative).view(layers, -1).sum(-1));
}

function targetsLike(logits: Tensor, matched: Matched, value: Tensor): Tensor {
  const flat = zeros([logits.numel], { dtype: logits.dtype, device: logits.device });
  return ops.indexPut_(flat, [matched.index], value).view(logits.shape);
}

const crossEntropy = (logits: Tensor, y: Tensor): Tensor => ops.softplus(logits).sub(logits.mul(y));

/**
 * The sum of a classification loss over queries and classes, for each layer `[L]`; the caller divides by the number of
 * boxes.
 */
export function classificationLoss(kind: ClassificationKind, logits: Tensor, matched: Matched): Tensor {
  if (kind === "ia_bce") return iouAware(logits, matched);
  const p = logits.sigmoid();
  if (kind === "focal") {
    const y = targetsLike(logits, matched, ops.onesLike(matched.iou));
    const wrong = p.add(y).sub(p.mul(y).mul(2));
    return crossEntropy(logits, y)
      .mul(wrong.pow(gamma))
      .mul(y.mul(2 * alpha - 1).add(1 - alpha))
      .flatten(1)
      .sum(-1);
  }
  let y = targetsLike(logits, matched, matched.iou);
  if (kind === "position") y = y.div(y.flatten(2).amax(-1).add(1e-8).unsqueeze(-1).unsqueeze(-1));
  const positive = y.gt(0);
  const miss = p.sub(y).abs().pow(gamma);
  const weight =
    kind === "position" ? miss.mul(ops.where(positive, alpha, 1 - alpha)) : ops.where(positive, y, miss.mul(1 - alpha));
  return crossEntropy(logits, y).mul(weight).flatten(1).sum(-1);
}
