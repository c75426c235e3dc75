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
 * Largest number of costs, or of sampled logits, to compute at once. A training step with 13 groups of 200 queries has
 * six million logits for an image of 768 pixels. On a CPU four times as many elements were no faster, and with a
 * hundred boxes for each image they set the peak memory of a step. Another device waits for operators, so that it gets
 * fewer and larger ones: as many elements as take 512 MiB.
 * @param temporaries float32 numbers that an element takes meanwhile
 */
export const elementsAtOnce = (device: string, temporaries: number): number =>
  device === "cpu" ? 1_000_000 : Math.floor(2 ** 29 / (4 * temporaries));

/** Of a sampled logit: see {@link elementsAtOnce}. */
export const logitTemporaries = 6;

/**
 * Matching costs of every pair of a query and a target of an image, over P points that all share. With logits x at the
 * points, p = sigmoid(x) and truth t, a pair costs
 *
 *     ce · mean(softplus(x) − x·t) + dice · (1 − (2·Σ p·t + 1) / (Σ p + Σ t + 1))
 *
 * Sources: DETR (arXiv:2005.12872, §4.4), Mask2Former (arXiv:2112.01527, §3.3), `rfdetr.utilities.box_ops:
 * batch_sigmoid_ce_loss, batch_dice_loss`.
 * @param features spatial features `[B, d, h, w]`, query features `[B, N, d]`
 * @param points `[1, P, 2]`; @param truth `[B, T, P]`: 1 at points of the target
 * @returns `[B, N, T]`
 */
export function maskCosts(
  { spatialFeatures, queryFeatures: query, bias }: MaskFeatures,
  points: Tensor,
  truth: Tensor,
  weights: Pick<MaskLossOptions, "ce" | "dice">,
): Tensor {
  const count = points.shape[1];
  const features = sampleMaps(spatialFeatures, points);
  const columns = truth.to(features.dtype).transpose(1, 2);
  const truths = columns.sum(1, true);
  const [batch, queries] = query.shape;
  const atOnce = Math.max(1, Math.floor(elementsAtOnce(bias.device, logitTemporaries) / (batch * count)));
  const parts: Tensor[] = [];
  for (let first = 0; first < queries; first += atOnce)
    parts.push(
      scope(() => {
        const x = query
          .narrow(1, first, Math.min(atOnce, queries - first))
          .matmul(features)
          .add(bias);
        const ce = ops.softplus(x).sum(2, true).sub(x.matmul(columns)).div(count);
        const p = x.sigmoid();
        const dice = p.matmul(columns).mul(-2).sub(1).div(p.sum(2, true).add(truths).add(1)).add(1);
        return ce.mul(weights.ce).add(dice.mul(weights.dice));
      }),
    );
  return ops.cat(parts, { dim: 1 });
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
 * the predicted mask is undecided. Without pairs both are 0, and every feature still has a gradient, of zeros.
 * `together` computes the masks of many images at once, to the same values: a GPU waits for operators, not for numbers;
 * on a CPU an image at a time takes less memory. Sources: PointRend (arXiv:1912.08193), V-Net (arXiv:1606.04797),
 * `rfdetr.models.criterion: SetCriterion.loss_masks`.
 * @returns scalars, with gradient
 */
export function maskLosses(
  features: MaskFeatures,
  pairs: Pairs,
  truth: TrueMasks,
  {
    pointSampleRatio,
    draw,
    together = features.bias.device !== "cpu",
  }: Pick<Required<MaskLossOptions>, "pointSampleRatio" | "draw"> & { together?: boolean },
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
  for (const { image, images, most, rows, isPair } of piecesOf(pairs, batch, together)) {
    const at = (list: Int32Array): Int32Array => rows.map((row) => list[row] as number);
    const index = (list: Int32Array): Tensor => tensor(list, { device: bias.device });
    const [queries, targets, of] = [at(pairs.query), at(pairs.target), at(pairs.batch)];
    const all = queryFeatures.shape[1];
    const places = queryFeatures.flatten(0, 1).indexSelect(0, index(queries.map((query, i) => of[i] * all + query)));
    const maps = places
      .view(images, most, -1)
      .matmul(spatialFeatures.narrow(0, image, images).flatten(2))
      .add(bias)
      .view(images * most, 1, high, wide);
    const chosen = index(rows);
    const part = {
      candidates: drawn.candidates.indexSelect(0, chosen),
      fresh: drawn.fresh.indexSelect(0, chosen),
    };
    const points = noGrad(() => scope(() => uncertainPoints(maps, part)));
    const x = sampleMaps(maps, points).squeeze(1);
    const t = noGrad(() => scope(() => truth.sample(of, targets, points).to(x.dtype)));
    const counts = tensor(isPair, { device: bias.device }).to(x.dtype);
    ce = ce.add(ops.binaryCrossEntropyWithLogits(x, t, { reduction: 0 }).mean(1).mul(counts).sum());
    const p = x.sigmoid();
    const overlap = p
      .mul(t)
      .sum(1)
      .mul(2)
      .add(1)
      .div(p.sum(1).add(t.sum(1)).add(1));
    dice = dice.add(overlap.neg().add(1).mul(counts).sum());
  }
  return { ce, dice };
}

/** Images side by side whose masks are computed together, each with `most` rows. */
interface Piece {
  image: number;
  images: number;
  most: number;
  /** Of each row its pair; rows beyond the pairs of an image repeat one. */
  rows: Int32Array;
  /** 1 for the row of a pair, 0 for a repeated one. */
  isPair: Float32Array;
}

/** The images with pairs: each alone, or as many together as make at most half of the rows repeated ones. */
function piecesOf({ batch }: Pairs, images: number, together: boolean): Piece[] {
  const counts = new Array<number>(images).fill(0);
  for (const image of batch) counts[image]++;
  const pieces: Piece[] = [];
  let start = 0;
  for (let image = 0, first = 0; image < images; image = first) {
    let [most, pairs] = [0, 0];
    for (; first < images; first++) {
      const wider = Math.max(most, counts[first] as number);
      const more = pairs + (counts[first] as number);
      if (first > image && (!together || wider * (first + 1 - image) > 2 * more)) break;
      [most, pairs] = [wider, more];
    }
    if (pairs === 0) continue;
    const rows = new Int32Array(most * (first - image)).fill(start);
    const isPair = new Float32Array(rows.length);
    for (let i = image; i < first; i++)
      for (let row = 0; row < (counts[i] as number); row++) {
        rows[(i - image) * most + row] = start++;
        isPair[(i - image) * most + row] = 1;
      }
    pieces.push({ image, images: first - image, most, rows, isPair });
  }
  return pieces;
}
