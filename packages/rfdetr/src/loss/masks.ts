// What predicted masks cost, compared with the true ones at some points: binary cross-entropy and Dice.
import { noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import type { MaskFeatures } from "../model/outputs.js";
import { type DrawPoints, drawPoints, sampleMaps, uncertainPoints } from "./points.js";
import type { TrueMasks } from "./true-masks.js";

/** How masks enter the matching cost and the loss. */
export interface MaskLossOptions {
  /** Weight of the binary cross-entropy. */
  ce: number;
  /** Weight of the Dice loss. */
  dice: number;
  /** Pixels of a predicted mask for each point that is compared. */
  pointSampleRatio: number;
  /** Where the points come from; default: random ones in training, and in evaluation the same for all masks. */
  draw?: DrawPoints;
}

/** What the Python package takes: `mask_ce_loss_coef`, `mask_dice_loss_coef` and `mask_point_sample_ratio`. */
export const defaultMaskOptions: MaskLossOptions = { ce: 5, dice: 5, pointSampleRatio: 16 };

/** The features of masks in the dtype that costs and losses are computed in. */
export function raised({ spatialFeatures, queryFeatures, bias }: MaskFeatures): MaskFeatures {
  const raise = (x: Tensor): Tensor => (x.dtype === "float64" ? x : x.to("float32"));
  return { spatialFeatures: raise(spatialFeatures), queryFeatures: raise(queryFeatures), bias: raise(bias) };
}

/**
 * Largest number of sampled logits to compute at once. More are computed query by query: a training step with 13 groups
 * of 200 queries has six million for an image of 768 pixels.
 */
const maxElements = 1_000_000;

/**
 * Matching costs of every pair of a query and a target of one image, over P points that all share. With logits x at the
 * points, p = sigmoid(x) and truth t, a pair costs
 *
 *     ce · mean(softplus(x) − x·t) + dice · (1 − (2·Σ p·t + 1) / (Σ p + Σ t + 1))
 *
 * Sources: DETR (arXiv:2005.12872, §4.4), Mask2Former (arXiv:2112.01527, §3.3), `rfdetr.utilities.box_ops:
 * batch_sigmoid_ce_loss, batch_dice_loss`.
 * @param features of the image: spatial features `[1, d, h, w]`, query features `[N, d]`
 * @param points `[1, P, 2]`; @param truth `[T, P]`: 1 at points of the target
 * @returns `[N, T]`
 */
export function maskCosts(
  { spatialFeatures, queryFeatures: query, bias }: MaskFeatures,
  points: Tensor,
  truth: Tensor,
  weights: Pick<MaskLossOptions, "ce" | "dice">,
): Tensor {
  const count = points.shape[1];
  const features = sampleMaps(spatialFeatures, points).squeeze(0);
  const columns = truth.to(features.dtype).transpose(0, 1);
  const truths = columns.sum(0);
  const atOnce = Math.max(1, Math.floor(maxElements / count));
  const parts: Tensor[] = [];
  for (let first = 0; first < query.shape[0]; first += atOnce)
    parts.push(
      scope(() => {
        const x = query
          .narrow(0, first, Math.min(atOnce, query.shape[0] - first))
          .matmul(features)
          .add(bias);
        const ce = ops.softplus(x).sum(1, true).sub(x.matmul(columns)).div(count);
        const p = x.sigmoid();
        const dice = p.matmul(columns).mul(-2).sub(1).div(p.sum(1, true).add(truths).add(1)).add(1);
        return ce.mul(weights.ce).add(dice.mul(weights.dice));
      }),
    );
  return ops.cat(parts);
}

/** Matched pairs, ordered by image. */
interface Pairs {
  batch: Int32Array;
  query: Int32Array;
  target: Int32Array;
}

/**
 * The losses of the masks of one prediction layer, summed over the M matched pairs: the mean over P points of the
 * binary cross-entropy, and 1 − Dice, where P = max(h, h·w / pointSampleRatio). Three quarters of the points are where
 * the predicted mask is undecided. Without pairs both are 0, and every feature still has a gradient, of zeros. Sources:
 * PointRend (arXiv:1912.08193), V-Net (arXiv:1606.04797), `rfdetr.models.criterion: SetCriterion.loss_masks`.
 * @returns scalars, with gradient
 */
export function maskLosses(
  features: MaskFeatures,
  pairs: Pairs,
  truth: TrueMasks,
  { pointSampleRatio, draw }: Pick<Required<MaskLossOptions>, "pointSampleRatio" | "draw">,
): { ce: Tensor; dice: Tensor } {
  const { spatialFeatures, queryFeatures, bias } = raised(features);
  const [batch, , high, wide] = spatialFeatures.shape;
  const nothing = [spatialFeatures, queryFeatures, bias]
    .map((x) => x.flatten().narrow(0, 0, 0).sum())
    .reduce((sum, x) => sum.add(x));
  if (pairs.query.length === 0) return { ce: nothing, dice: nothing };
  const points = Math.max(high, Math.floor((high * wide) / pointSampleRatio));
  const drawn = drawPoints(draw, pairs.query.length, points, bias.device);
  let [ce, dice] = [nothing, nothing];
  let first = 0;
  for (let image = 0; image < batch; image++) {
    let count = 0;
    while (pairs.batch[first + count] === image) count++;
    if (count === 0) continue;
    const own = (x: Int32Array): Int32Array => x.subarray(first, first + count);
    const [queries, targets, images] = [own(pairs.query), own(pairs.target), own(pairs.batch)];
    const part = { candidates: drawn.candidates.narrow(0, first, count), fresh: drawn.fresh.narrow(0, first, count) };
    first += count;
    const rows = queryFeatures.select(0, image).indexSelect(0, tensor(queries, { device: bias.device }));
    const maps = rows.matmul(spatialFeatures.select(0, image).flatten(1)).add(bias).view(count, 1, high, wide);
    const places = noGrad(() => scope(() => uncertainPoints(maps, part)));
    const x = sampleMaps(maps, places).squeeze(1);
    const t = noGrad(() => scope(() => truth.sample(images, targets, places).to(x.dtype)));
    ce = ce.add(ops.binaryCrossEntropyWithLogits(x, t, { reduction: 0 }).mean(1).sum());
    const p = x.sigmoid();
    const overlap = p
      .mul(t)
      .sum(1)
      .mul(2)
      .add(1)
      .div(p.sum(1).add(t.sum(1)).add(1));
    dice = dice.add(overlap.neg().add(1).sum());
  }
  return { ce, dice };
}
