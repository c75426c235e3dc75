// The classification losses. Each takes the logits of all prediction layers and the matched entries, and returns one
// sum for each layer.
import { noGrad, ops, type Tensor, zeros } from "@rfdetr/torch";

/**
 * The classification loss:
 * - `ia_bce`: IoU-aware binary cross-entropy (Align-DETR, Cai et al. 2023, arXiv:2304.07527), as in LW-DETR
 *   (arXiv:2406.03459). This is the default of the Python package.
 * - `position`: position-supervised loss (Stable-DINO, Liu et al. 2023, arXiv:2304.04742).
 * - `varifocal`: varifocal loss (Zhang et al. 2021, arXiv:2008.13367).
 * - `focal`: focal loss (Lin et al. 2017, arXiv:1708.02002).
 */
export type ClassificationKind = "ia_bce" | "position" | "varifocal" | "focal";

/** The matched logits of all prediction layers. Every layer has equally many matches; M is their total. */
export interface Matched {
  /** `[M]` int64: flat indices into the logits `[L, B, N, K]`, layer by layer. */
  index: Tensor;
  /** `[M]`: IoU of each predicted box with its target, without gradient. */
  iou: Tensor;
  /** `[M]`: factor of the loss of each match; default 1. */
  weight?: Tensor;
}

/** α and γ of the focal loss (arXiv:1708.02002, equation 5). The other losses use the same numbers. */
const alpha = 0.25;
const gamma = 2;

/**
 * IoU-aware binary cross-entropy: Σ over matches of BCE(p, t) + Σ over negatives of p²·BCE(p, 0), where p = sigmoid(z)
 * for logit z. A match has the soft target t = max(p^α · IoU^(1−α), 0.01). The weight p² carries gradient, t does not.
 *
 * From logits, a match costs (1 − t)·z + softplus(−z), and a negative costs p²·softplus(z). The code first counts every
 * entry as a negative and then corrects the matched ones. This avoids a scatter into a tensor of the size of the
 * logits. Source: `rfdetr.models.criterion: SetCriterion.loss_labels`.
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
  const plain = z.sub(z.mul(t)).add(ops.softplus(z.neg()));
  const asMatch = matched.weight ? plain.mul(matched.weight) : plain;
  const asNegative = p.pow(2).mul(ops.softplus(z));
  return negatives.add(asMatch.sub(asNegative).view(layers, -1).sum(-1));
}

/** A tensor of the shape of the logits: `value` `[M]` at the matched entries, 0 elsewhere. */
function targetsLike(logits: Tensor, matched: Matched, value: Tensor): Tensor {
  const flat = zeros([logits.numel], { dtype: logits.dtype, device: logits.device });
  return ops.indexPut_(flat, [matched.index], value).view(logits.shape);
}

const crossEntropy = (logits: Tensor, y: Tensor): Tensor => ops.softplus(logits).sub(logits.mul(y));

/**
 * Sums a classification loss over images, queries and classes. The caller divides by the number of target boxes.
 * Source: `rfdetr.models.criterion: SetCriterion.loss_labels`, which returns the same sum for one layer.
 * @param kind which loss
 * @param logits `[L, B, N, K]`: prediction layers, images, queries, classes; float32 or float64
 * @param matched the logits that were matched with a target
 * @returns `[L]`, with gradient
 * @example
 * import { randn, tensor } from "@rfdetr/torch";
 * import { classificationLoss } from "rfdetr/loss";
 * const matched = { index: tensor(BigInt64Array.of(5n)), iou: tensor([0.8]) };
 * const sums = classificationLoss("ia_bce", randn([1, 2, 300, 91]), matched);
 */
export function classificationLoss(kind: ClassificationKind, logits: Tensor, matched: Matched): Tensor {
  if (kind === "ia_bce") return iouAware(logits, matched);
  const factor = matched.weight ? targetsLike(logits, matched, matched.weight.sub(1)).add(1) : 1;
  const p = logits.sigmoid();
  if (kind === "focal") {
    const y = targetsLike(logits, matched, ops.onesLike(matched.iou));
    const wrong = p.add(y).sub(p.mul(y).mul(2));
    return crossEntropy(logits, y)
      .mul(wrong.pow(gamma))
      .mul(y.mul(2 * alpha - 1).add(1 - alpha))
      .mul(factor)
      .flatten(1)
      .sum(-1);
  }
  let y = targetsLike(logits, matched, matched.iou);
  if (kind === "position") y = y.div(y.flatten(2).amax(-1).add(1e-8).unsqueeze(-1).unsqueeze(-1));
  const positive = y.gt(0);
  const miss = p.sub(y).abs().pow(gamma);
  const weight =
    kind === "position" ? miss.mul(ops.where(positive, alpha, 1 - alpha)) : ops.where(positive, y, miss.mul(1 - alpha));
  return crossEntropy(logits, y).mul(weight).mul(factor).flatten(1).sum(-1);
}
