// The criterion: matches every prediction layer with the targets and computes the training loss.

import { noGrad, ops, scope, span, type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";
import type { Outputs, Prediction } from "../model/outputs.js";
import { ModelConfigError } from "../support/errors.js";
import { centreToCorners, overlaps } from "./boxes.js";
import { type ClassificationKind, classificationLoss } from "./classification.js";
import { defaultMaskOptions, type MaskLossOptions, maskLosses } from "./masks.js";
import { defaultCosts, HungarianMatcher, type MatcherCosts, type Matching } from "./matcher.js";
import { type DrawPoints, evenPoints, randomPoints } from "./points.js";
import { TrueMasks } from "./true-masks.js";

/** Settings of the training loss. */
export interface CriterionOptions {
  /** Number of query groups in training. Evaluation uses one group. */
  groupDetr: number;
  /** The classification loss; default `ia_bce`. */
  kind?: ClassificationKind;
  /** Weights of the matching cost; default {@link defaultCosts}. */
  costs?: MatcherCosts;
  /** Weights of the loss terms; default 1, 5 and 2. */
  weights?: { ce: number; bbox: number; giou: number };
  /** How masks enter matching and loss, where the model predicts them; default {@link defaultMaskOptions}. */
  masks?: Partial<MaskLossOptions>;
  /** `[K]`: weight of the classification loss of a match by its class, as `pos_weight` of PyTorch; default 1. */
  classWeights?: readonly number[] | null;
}

/** The training loss and its terms. */
export interface Losses {
  /** Scalar: weighted sum of the loss terms of all prediction layers, with gradient. */
  total: Tensor;
  /**
   * Scalars by name, unweighted and without gradient: `loss_ce`, `loss_bbox`, `loss_giou` and `cardinality_error` of
   * the last decoder layer, of the earlier decoder layers with the suffixes `_0`, `_1`, …, and of the query selection
   * with the suffix `_enc`. `class_error` exists for the last layer only, `loss_mask_ce` and `loss_mask_dice` where the
   * model predicts masks.
   *
   * `class_error` is the percentage of matched queries whose highest logit is not the class of their target.
   * `cardinality_error` is the mean over images of |queries with a score above ½ − targets|.
   */
  terms: Map<string, Tensor>;
}

/**
 * Computes the training loss. Each prediction layer (every decoder layer and the query selection) gets its own matching
 * and contributes 1 · classification + 5 · L1 + 2 · (1 − GIoU), under the default weights. The classification loss is
 * summed over all logits, the other two terms over the matched pairs. Each sum is divided by
 * max(1, target boxes of the batch · query groups), or by another count. Where the model predicts masks, the pairs also
 * contribute 5 · cross-entropy + 5 · Dice of them, which {@link maskLosses} says.
 *
 * Float16 and bfloat16 outputs are converted to float32 first; float64 outputs stay float64. Sources: DETR
 * (arXiv:2005.12872, §3.1), Group DETR (arXiv:2207.13085), `rfdetr.models.criterion: SetCriterion`.
 * @example
 * import { Criterion } from "rfdetr/loss";
 * const { total } = new Criterion({ groupDetr: 13 }).compute(model.call(images), targets, { training: true });
 * total.backward();
 */
export class Criterion {
  readonly matcher: HungarianMatcher;
  readonly #options: CriterionOptions;
  readonly #masks: MaskLossOptions;

  constructor(options: CriterionOptions) {
    this.#masks = { ...defaultMaskOptions, ...options.masks };
    this.matcher = new HungarianMatcher(options.costs ?? defaultCosts, this.#masks);
    this.#options = options;
  }

  /**
   * Computes the loss of one batch.
   * @param outputs what the model returned for the batch
   * @param targets one for each image, in the order of the batch; boxes as fractions of the image
   * @param options `training`: whether the outputs hold all query groups or the first one only. `boxes`: the number of
   * target boxes to divide by, in place of those of the batch; several processes divide by the mean over all their
   * batches (`rfdetr.models.criterion: SetCriterion.forward`)
   * @throws ModelConfigError if a label is negative or the class head has no logit for it, or if the model predicts
   * masks and a target or some layer has none
   */
  compute(outputs: Outputs, targets: readonly Target[], options: { training: boolean; boxes?: number | null }): Losses {
    return scope(() => {
      const groups = options.training ? this.#options.groupDetr : 1;
      const layers: [suffix: string, prediction: Prediction][] = [
        ["", outputs],
        ...outputs.auxOutputs.map((p, i) => [`_${i}`, p] as [string, Prediction]),
        ["_enc", outputs.encOutputs],
      ];
      const classes = outputs.predLogits.shape[2];
      for (const target of targets)
        for (const label of target.labels)
          if (label < 0 || label >= classes)
            throw new ModelConfigError(
              `Expected labels from 0 to ${classes - 1} but received ${label} in image ${target.imageId}: the model has too few classes for this dataset`,
            );
      const [bare] = layers.find(([, p]) => (p.predMasks === undefined) !== (outputs.predMasks === undefined)) ?? [];
      if (bare !== undefined)
        throw new ModelConfigError(
          `Expected masks of every prediction layer but received none of "${bare}": call a model in evaluation mode with allMasks`,
        );
      const batch: Batch = {
        targets,
        groups,
        draw: this.#masks.draw ?? (options.training ? randomPoints : evenPoints),
        count: Math.max(1, groups * (options.boxes ?? boxesOf(targets))),
        masks: outputs.predMasks === undefined ? null : new TrueMasks(targets, outputs.predLogits.device),
      };

      // Layers of one shape are computed together. The query selection has fewer rows than the decoder if there are
      // fewer tokens than queries.
      const rows = outputs.predLogits.shape[1];
      const shared = layers.filter(([, p]) => p.predLogits.shape[1] === rows);
      const rest = layers.filter(([, p]) => p.predLogits.shape[1] !== rows);
      const terms = new Map<string, Tensor>();
      const totals = [shared, ...rest.map((layer) => [layer])]
        .filter((list) => list.length > 0)
        .map((list) => this.#layers(list, batch, terms));
      return { total: totals.length === 1 ? totals[0] : ops.stack(totals).sum(), terms };
    });
  }

  /** Adds the terms of layers of one shape to `terms`. @returns their weighted sum, a scalar */
  #layers(
    layers: [string, Prediction][],
    { targets, groups, count, masks, draw }: Batch,
    terms: Map<string, Tensor>,
  ): Tensor {
    const raise = (x: Tensor): Tensor => (x.dtype === "float64" ? x : x.to("float32"));
    const stack = (of: "predLogits" | "predBoxes"): Tensor =>
      scope(() => ops.stack(layers.map(([, p]) => raise(p[of]))));
    const [logits, boxes] = [stack("predLogits"), stack("predBoxes")];
    const matchings = span("matcher", () => {
      const each = layers.map(([, { predMasks }], i) => {
        const own = { predLogits: logits.select(0, i), predBoxes: boxes.select(0, i) };
        return predMasks ? { ...own, predMasks } : own;
      });
      return this.matcher.match(each, targets, groups, { truth: masks, draw });
    });
    const pairs = gatherPairs(matchings, targets, logits.shape);
    const { dtype, device } = boxes;

    const predicted = boxes.flatten(0, 2).indexSelect(0, tensor(pairs.rows, { device }));
    const truth = tensor(pairs.boxes, { shape: [pairs.rows.length, 4] }).to({ dtype, device });
    const { iou, giou } = overlaps(centreToCorners(predicted), centreToCorners(truth));
    const perLayer = (x: Tensor): Tensor => x.view(layers.length, -1).sum(-1).div(count);
    const bbox = perLayer(predicted.sub(truth).abs());
    const generalised = perLayer(giou.neg().add(1));
    const { kind = "ia_bce", weights = { ce: 1, bbox: 5, giou: 2 }, classWeights } = this.#options;
    const matched = { index: tensor(pairs.entries, { device }), iou: iou.detach() };
    const weight =
      classWeights &&
      tensor([...classWeights], { dtype, device }).indexSelect(0, ops.remainder(matched.index, logits.shape[3]));
    const ce = classificationLoss(kind, logits, weight ? { ...matched, weight } : matched).div(count);

    const maskTerms = layers.flatMap(([suffix, { predMasks }], i) => {
      if (predMasks === undefined || masks === null) return [];
      const own = scope(() => maskLosses(predMasks, matchings[i], masks, { ...this.#masks, draw }));
      return [{ suffix, ce: own.ce.div(count), dice: own.dice.div(count) }];
    });

    noGrad(() => {
      const counts = targets.map((target) => target.labels.length);
      const truths = tensor(counts, { dtype, device });
      const cardinality = logits.amax(-1).gt(0).sum(-1).to(dtype).sub(truths).abs().mean(-1);
      layers.forEach(([suffix], i) => {
        terms.set(`loss_ce${suffix}`, ce.detach().select(0, i));
        terms.set(`loss_bbox${suffix}`, bbox.detach().select(0, i));
        terms.set(`loss_giou${suffix}`, generalised.detach().select(0, i));
        terms.set(`cardinality_error${suffix}`, cardinality.select(0, i));
        const mask = maskTerms.find((own) => own.suffix === suffix);
        if (mask !== undefined) {
          terms.set(`loss_mask_ce${suffix}`, mask.ce.detach());
          terms.set(`loss_mask_dice${suffix}`, mask.dice.detach());
        }
        if (suffix === "") terms.set("class_error", classError(logits.select(0, i), matchings[i], targets));
      });
    });
    const total = ce.mul(weights.ce).add(bbox.mul(weights.bbox)).add(generalised.mul(weights.giou)).sum();
    return maskTerms.reduce((sum, own) => {
      return sum.add(own.ce.mul(this.#masks.ce)).add(own.dice.mul(this.#masks.dice));
    }, total);
  }
}

/** What all prediction layers of a batch are compared with. */
interface Batch {
  targets: readonly Target[];
  groups: number;
  /** What the sums of the losses are divided by. */
  count: number;
  /** Null where no masks are predicted. */
  masks: TrueMasks | null;
  /** Where the points come from at which masks are compared. */
  draw: DrawPoints;
}

/** The number of target boxes of a batch. */
export function boxesOf(targets: readonly Target[]): number {
  return targets.reduce((sum, { labels }) => sum + labels.length, 0);
}

/** The M matched pairs of several prediction layers, layer by layer. */
interface Pairs {
  /** `[M]`: flat index of the query in `[L, B, N]`. */
  rows: BigInt64Array;
  /** `[M]`: flat index of the logit of the target's class in `[L, B, N, K]`. */
  entries: BigInt64Array;
  /** `[M × 4]`: target boxes. */
  boxes: Float32Array;
}

function gatherPairs(matchings: Matching[], targets: readonly Target[], [, batch, queries, classes]: number[]): Pairs {
  const total = matchings.reduce((sum, m) => sum + m.query.length, 0);
  const pairs: Pairs = {
    rows: new BigInt64Array(total),
    entries: new BigInt64Array(total),
    boxes: new Float32Array(total * 4),
  };
  let at = 0;
  matchings.forEach((matching, layer) => {
    for (let i = 0; i < matching.query.length; i++, at++) {
      const target = targets[matching.batch[i]];
      const row = (layer * batch + matching.batch[i]) * queries + matching.query[i];
      pairs.rows[at] = BigInt(row);
      pairs.entries[at] = BigInt(row * classes + target.labels[matching.target[i]]);
      pairs.boxes.set(target.boxes.subarray(matching.target[i] * 4, matching.target[i] * 4 + 4), at * 4);
    }
  });
  return pairs;
}

/** Percentage of matched queries whose highest logit is not the class of their target; 100 without matches. */
function classError(logits: Tensor, matching: Matching, targets: readonly Target[]): Tensor {
  const { device, dtype } = logits;
  if (matching.query.length === 0) return tensor(100, { dtype, device });
  const queries = logits.shape[1];
  const rows = BigInt64Array.from(matching.query, (query, i) => BigInt(matching.batch[i] * queries + query));
  const labels = BigInt64Array.from(matching.target, (t, i) => BigInt(targets[matching.batch[i]].labels[t]));
  const best = logits.flatten(0, 1).indexSelect(0, tensor(rows, { device })).argmax(-1);
  return best.ne(tensor(labels, { device })).to(dtype).mean().mul(100);
}
