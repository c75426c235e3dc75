// The bipartite matcher: assigns each target box to one query of each group (DETR, arXiv:2005.12872, §3.1).

import { noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";
import type { Prediction } from "../model/outputs.js";
import { centreToCorners, overlaps } from "./boxes.js";
import {
  defaultMaskOptions,
  elementsAtOnce,
  logitTemporaries,
  type MaskLossOptions,
  maskCosts,
  raised,
} from "./masks.js";
import { type DrawPoints, randomPoints } from "./points.js";
import { TrueMasks } from "./true-masks.js";

/** Weights of the three terms of the matching cost. */
export interface MatcherCosts {
  /** Of the focal classification cost. */
  class: number;
  /** Of the L1 distance. */
  bbox: number;
  /** Of −GIoU. */
  giou: number;
}

/** The weights of the Python package: `set_cost_class`, `set_cost_bbox` and `set_cost_giou`. */
export const defaultCosts: MatcherCosts = { class: 2, bbox: 5, giou: 2 };

/** The matched pairs of one prediction layer, ordered by image, then by group, then by query. */
export interface Matching {
  /** Index of the image in the batch. */
  batch: Int32Array;
  /** Index of the query among the queries of all groups. */
  query: Int32Array;
  /** Index of the target among the targets of the image. */
  target: Int32Array;
}

/** Float32 numbers that the cost of a pair takes while it is computed. @internal for tests */
export const costTemporaries = 16;

/** α of the focal classification cost (Lin et al. 2017, arXiv:1708.02002). Its γ is 2. */
const alpha = 0.25;

/**
 * Finds the assignment of queries to targets with the least total cost. Every prediction layer, image and query group
 * is a problem of its own (Group DETR, arXiv:2207.13085). With p = sigmoid(z) for the logit z of the target's class
 * and α = 0.25, the cost of a query with box b̂ and a target with box b is, under the default weights,
 *
 *     5 · ‖b − b̂‖₁ + 2 · (α·(1−p)²·softplus(−z) − (1−α)·p²·softplus(z)) − 2 · GIoU(b, b̂)
 *
 * and where masks are predicted also what {@link maskCosts} says, over points that all queries of a layer share.
 *
 * Costs are computed in the dtype of the predictions. Then they are rounded to float32, as in the Python package, and
 * the assignment is solved in float64. A NaN or infinite cost is replaced by one above all finite costs. Sources: DETR
 * (arXiv:2005.12872, §3.1), `rfdetr.models.matcher: HungarianMatcher`.
 * @example
 * import { HungarianMatcher } from "rfdetr/loss";
 * const [{ batch, query, target }] = new HungarianMatcher().match([outputs], targets, 1);
 */
export class HungarianMatcher {
  /** Whether any cost so far was NaN or infinite. */
  sawNonFinite = false;
  #warned = false;

  /** @param masks what masks cost, where they are predicted */
  constructor(
    readonly costs: MatcherCosts = defaultCosts,
    readonly masks: MaskLossOptions = defaultMaskOptions,
  ) {}

  /** Returns a warning on the first call after a cost was NaN or infinite, and null on every other call. */
  warning(): string | null {
    if (!this.sawNonFinite || this.#warned) return null;
    this.#warned = true;
    return "Some matching costs were not finite (NaN or infinite) and were replaced by a cost above all others. The predicted boxes or logits overflowed, so their matches mean little. This warning appears once.";
  }

  /**
   * Matches each prediction layer with the targets.
   * @param layers predictions of one shape: logits `[B, N, K]` and boxes `[B, N, 4]`
   * @param targets one for each image; every label must be below K
   * @param groups number of query groups: equal chunks of the query axis, each matched with all targets of its image
   * @param masks the masks of the targets, if the caller has them, and where the points come from
   * @returns one matching for each layer, with groups · min(N / groups, targets) pairs for each image
   */
  match(
    layers: readonly Prediction[],
    targets: readonly Target[],
    groups: number,
    { truth, draw = this.masks.draw ?? randomPoints }: { truth?: TrueMasks | null; draw?: DrawPoints } = {},
  ): Matching[] {
    const most = Math.max(0, ...targets.map((t) => t.labels.length));
    const [batch, queries] = layers[0].predLogits.shape;
    const each = queries / groups;
    const pairs = targets.reduce((sum, t) => sum + groups * Math.min(each, t.labels.length), 0);
    const result = layers.map(() => ({
      batch: new Int32Array(pairs),
      query: new Int32Array(pairs),
      target: new Int32Array(pairs),
    }));
    if (pairs === 0) return result;
    const elements = elementsAtOnce(layers[0].predLogits.device, costTemporaries);
    const images = Math.min(batch, Math.max(1, Math.floor(elements / (queries * most))));
    const atOnce = Math.max(1, Math.floor(elements / (batch * queries * most)));
    const problems = layers.flatMap((_, layer) =>
      targets.flatMap(({ labels }, image) =>
        Array.from({ length: groups }, (_, group) => ({ layer, image, group, count: labels.length })),
      ),
    );
    const { rows, columns } = noGrad(() =>
      scope(() => {
        const points = this.#maskPoints(layers, draw);
        const has = points.some((own) => own !== null);
        const masks = has ? (truth ?? new TrueMasks(targets, layers[0].predLogits.device)) : null;
        const costs = (first: number, image: number): Tensor => {
          const some = layers.slice(first, first + atOnce);
          const theirs = targets.slice(image, image + images);
          const own = this.#costs(some, image, theirs, most);
          if (masks !== null)
            some.forEach((layer, i) => {
              const part = { layer, points: points[first + i], truth: masks, firstImage: image };
              this.#addMaskCosts(own.select(0, i), theirs, part);
            });
          return own.to("float32");
        };
        const parts: Tensor[] = [];
        for (let first = 0; first < layers.length; first += atOnce)
          for (let image = 0; image < batch; image += images) parts.push(scope(() => costs(first, image).flatten()));
        return this.#solve(ops.cat(parts).view(problems.length, each, most), problems);
      }),
    );
    const at = layers.map(() => 0);
    const width = Math.min(each, most);
    for (const [p, { layer, image, group, count }] of problems.entries()) {
      const to = result[layer];
      for (let i = p * width; i < p * width + Math.min(each, count); i++, at[layer]++) {
        to.batch[at[layer]] = image;
        to.query[at[layer]] = group * each + rows[i];
        to.target[at[layer]] = columns[i];
      }
    }
    return result;
  }

  /**
   * Costs `[layers, B, N, most]` of the images from `firstImage` on. `most` is the largest number of targets of an
   * image; columns beyond an image's own targets are padding.
   */
  #costs(layers: readonly Prediction[], firstImage: number, targets: readonly Target[], most: number): Tensor {
    const batch = targets.length;
    const boxes = ops.stack(layers.map((l) => l.predBoxes.narrow(0, firstImage, batch)));
    const { dtype, device } = boxes;
    const labels = new BigInt64Array(batch * most);
    const places = new Float32Array(batch * most * 4);
    targets.forEach((target, b) => {
      target.labels.forEach((label, i) => {
        labels[b * most + i] = BigInt(label);
      });
      places.set(target.boxes, b * most * 4);
    });
    const index = tensor(labels, { shape: [batch, 1, most], device }).expand([-1, boxes.shape[2], -1]);
    const truth = tensor(places, { shape: [1, batch, 1, most, 4] }).to({ dtype, device });

    // The temporaries of each term go before those of the next are made.
    const classes = scope(() => {
      const z = ops.stack(layers.map((l) => l.predLogits.narrow(0, firstImage, batch).gather(2, index)));
      const p = z.sigmoid();
      const positive = p.neg().add(1).pow(2).mul(ops.softplus(z.neg())).mul(alpha);
      const negative = p
        .pow(2)
        .mul(ops.softplus(z))
        .mul(1 - alpha);
      return positive.sub(negative).mul(this.costs.class);
    });
    const predicted = boxes.unsqueeze(3);
    const distance = scope(() => predicted.sub(truth).abs().sum(-1).mul(this.costs.bbox));
    const overlap = scope(() => overlaps(centreToCorners(predicted), centreToCorners(truth)).giou.mul(this.costs.giou));
    return distance.add(classes).sub(overlap);
  }

  /** The points at which the masks of each layer are compared, `[1, P, 2]`; null where no masks are predicted. */
  #maskPoints(layers: readonly Prediction[], draw: DrawPoints): (Tensor | null)[] {
    return layers.map(({ predMasks }) => {
      if (predMasks === undefined) return null;
      const { device, shape } = predMasks.spatialFeatures;
      const count = Math.max(1, Math.floor((shape[2] * shape[3]) / this.masks.pointSampleRatio));
      return draw([1, count, 2], device);
    });
  }

  /** Adds the costs of masks to those of one layer, `[B, N, most]`, for the images from `firstImage` on. */
  #addMaskCosts(
    costs: Tensor,
    targets: readonly Target[],
    part: { layer: Prediction; points: Tensor | null; truth: TrueMasks; firstImage: number },
  ): void {
    const { layer, points, truth, firstImage } = part;
    if (points === null || layer.predMasks === undefined) return;
    const { spatialFeatures, queryFeatures, bias } = layer.predMasks;
    const sampled = queryFeatures.shape[1] * points.shape[1];
    const atOnce = Math.max(1, Math.floor(elementsAtOnce(bias.device, logitTemporaries) / sampled));
    for (let first = 0; first < targets.length; first += atOnce) {
      const some = targets.slice(first, first + atOnce);
      const most = Math.max(...some.map(({ labels }) => labels.length));
      if (most === 0) continue;
      scope(() => {
        const own = raised({
          spatialFeatures: spatialFeatures.narrow(0, firstImage + first, some.length),
          queryFeatures: queryFeatures.narrow(0, firstImage + first, some.length),
          bias,
        });
        const values = truth.sample(...paddedTargets(some, firstImage + first, most), points);
        costs
          .narrow(0, first, some.length)
          .narrow(2, 0, most)
          .add_(maskCosts(own, points, values.view(some.length, most, -1), this.masks));
      });
    }
  }

  /**
   * Solves all problems side by side. On a GPU it reads the costs once, and waits for them.
   * @param costs `[problems, N / groups, most]`
   * @param problems with their numbers of targets
   * @returns min(N / groups, most) places for each problem, its pairs first, by row
   */
  #solve(costs: Tensor, problems: readonly { count: number }[]): { rows: Int32Array; columns: Int32Array } {
    const onCpu = costs.device === "cpu" ? costs : tensor(costs.toArray(), { shape: costs.shape });
    const [rows, columns, , replaced] = ops.linearSumAssignment(onCpu, {
      columns: problems.map(({ count }) => count),
      replaceNonFinite: true,
    });
    if (replaced > 0) this.sawNonFinite = true;
    return { rows: rows.toArray() as Int32Array, columns: columns.toArray() as Int32Array };
  }
}

/**
 * Images and places of the targets of some images, as many of each. An image with fewer repeats the first one of all;
 * nobody reads those.
 */
function paddedTargets(targets: readonly Target[], firstImage: number, most: number): [Int32Array, Int32Array] {
  const any = firstImage + targets.findIndex(({ labels }) => labels.length > 0);
  const images = new Int32Array(targets.length * most).fill(any);
  const places = new Int32Array(images.length);
  targets.forEach(({ labels }, image) => {
    images.fill(firstImage + image, image * most, image * most + labels.length);
    for (let i = 0; i < labels.length; i++) places[image * most + i] = i;
  });
  return [images, places];
}
