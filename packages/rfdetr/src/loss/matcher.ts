// The bipartite matcher (DETR, arXiv:2005.12872 §3.1): which query answers for which true box.

import { noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";
import type { Prediction } from "../model/outputs.js";
import { centreToCorners, overlaps } from "./boxes.js";
import { LinearAssignmentSolver, sanitizeCosts } from "./linear-assignment.js";

/** Weights of the terms of the matching cost. */
export interface MatcherCosts {
  class: number;
  bbox: number;
  giou: number;
}

/** Costs of the Python package. */
export const defaultCosts: MatcherCosts = { class: 2, bbox: 5, giou: 2 };

/** Pairs of one prediction layer, by image, then group, then ascending query. */
export interface Matching {
  batch: Int32Array;
  query: Int32Array;
  /** Index into the targets of the pair's own image. */
  target: Int32Array;
}

/**
 * Cost elements computed at once, some forty temporaries of them; more are done layer by layer, then image by image.
 * Four times as many are no faster, and with a hundred boxes an image they are the highest point of a step's memory.
 */
const maxElements = 1_000_000;

/** α and γ of the focal classification cost (Lin et al. 2017). */
const alpha = 0.25;

/**
 * Solves, for each layer, image and query group on its own, the assignment of least total cost 5·L1 + 2·class − 2·GIoU.
 * Only costs of queries and targets of one image are built. Costs are made in the dtype of the predictions, rounded to
 * float32 (as the reference does even in float64), and solved in float64. Non-finite costs become larger than all
 * finite ones. `rfdetr.models.matcher: HungarianMatcher`.
 */
export class HungarianMatcher {
  readonly #solver = new LinearAssignmentSolver();
  /** Set once a non-finite cost was seen. */
  sawNonFinite = false;
  #warned = false;

  constructor(readonly costs: MatcherCosts = defaultCosts) {}

  /**
   * What a user should know about the costs so far, the first time that it is asked after it happened; null otherwise.
   */
  warning(): string | null {
    if (!this.sawNonFinite || this.#warned) return null;
    this.#warned = true;
    return "Some matching costs were not finite and counted as the worst of all: boxes or logits overflow, and their matching means little. This is said once.";
  }

  /**
   * @param layers predictions of one shape `[B, N, …]` @param groups chunks of the query axis that are matched
   * independently
   */
  match(layers: readonly Prediction[], targets: readonly Target[], groups: number): Matching[] {
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
    const images = Math.min(batch, Math.max(1, Math.floor(maxElements / (queries * most))));
    const atOnce = Math.max(1, Math.floor(maxElements / (batch * queries * most)));
    for (let first = 0; first < layers.length; first += atOnce) {
      const some = layers.slice(first, first + atOnce);
      const at = some.map(() => 0);
      for (let image = 0; image < batch; image += images) {
        const own = targets.slice(image, image + images);
        const costs = noGrad(() =>
          scope(() => this.#costs(some, image, own, most).to("float32").toArray() as Float32Array),
        );
        if (sanitizeCosts(costs)) this.sawNonFinite = true;
        own.forEach(({ labels }, b) => {
          some.forEach((_, layer) => {
            const offset = (layer * own.length + b) * queries * most;
            at[layer] = this.#solve(
              costs,
              offset,
              { each, groups, most, count: labels.length },
              result[first + layer],
              at[layer],
              image + b,
            );
          });
        });
      }
    }
    return result;
  }

  /** `[layers, B, N, most]`; columns beyond an image's own targets are padding. */
  #costs(layers: readonly Prediction[], firstImage: number, targets: readonly Target[], most: number): Tensor {
    const batch = targets.length;
    const logits = ops.stack(layers.map((l) => l.predLogits.narrow(0, firstImage, batch)));
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
    const index = tensor(labels, { shape: [1, batch, 1, most], device }).expand([
      layers.length,
      -1,
      logits.shape[2],
      -1,
    ]);
    const truth = tensor(places, { shape: [1, batch, 1, most, 4] }).to({ dtype, device });

    const z = logits.gather(3, index);
    const p = z.sigmoid();
    const positive = p.neg().add(1).pow(2).mul(ops.softplus(z.neg())).mul(alpha);
    const negative = p
      .pow(2)
      .mul(ops.softplus(z))
      .mul(1 - alpha);
    const predicted = boxes.unsqueeze(3);
    const distance = predicted.sub(truth).abs().sum(-1);
    const { giou } = overlaps(centreToCorners(predicted), centreToCorners(truth));
    return distance
      .mul(this.costs.bbox)
      .add(positive.sub(negative).mul(this.costs.class))
      .sub(giou.mul(this.costs.giou));
  }

  /** Writes the pairs of one image, group by group, from place `at` on. @returns the place after them */
  #solve(
    costs: Float32Array,
    offset: number,
    { each, groups, most, count }: { each: number; groups: number; most: number; count: number },
    { batch, query, target }: Matching,
    at: number,
    image: number,
  ): number {
    for (let g = 0; g < groups; g++) {
      const found = this.#solver.solve(costs, each, count, offset + g * each * most, most, 1);
      for (let i = 0; i < found; i++, at++) {
        batch[at] = image;
        query[at] = g * each + this.#solver.rows[i];
        target[at] = this.#solver.columns[i];
      }
    }
    return at;
  }
}
