// The training loss on a split that is evaluated.
import type { Target } from "../data/target.js";
import { boxesOf, type Criterion } from "../loss/criterion.js";
import { resampleMask } from "../masks/gather-mask.js";
import type { Outputs } from "../model/outputs.js";
import type { EvaluationBatch } from "./batch.js";

/** What a batch adds to the loss of a split: sums, not yet divided by the number of boxes. */
export interface LossPart {
  boxes: number;
  /** Weighted sum of all terms. */
  total: number;
  /** Unweighted terms of all layers, by their names in `Criterion`. */
  terms: Record<string, number>;
}

/** The loss of a split. */
export interface SplitLoss {
  loss: number;
  /** Unweighted terms of all layers, by their names in `Criterion`. */
  terms: Record<string, number>;
}

/**
 * The loss of a split, added up over its batches: the sums of all images over the number of all boxes (at least 1), so
 * that it does not depend on the batches. The Python package takes the mean of the losses of batches
 * (`rfdetr.training.module_model: validation_step`). Crowd regions are no targets, as in training.
 */
export class ValidationLoss {
  #boxes = 0;
  #total = 0;
  readonly #terms = new Map<string, number>();

  constructor(readonly criterion: Criterion) {}

  /**
   * The part of a batch; it is not added. Call it inside a scope, without gradients.
   * @param outputs of the model in evaluation mode for the batch, in float32
   */
  of(batch: EvaluationBatch, outputs: Outputs): LossPart {
    const targets = batch.truths.map((_, i) => targetOf(batch, i));
    const { total, terms } = this.criterion.compute(outputs, targets, { training: false, boxes: 1 });
    const losses = [...terms].filter(([name]) => name.startsWith("loss_"));
    return {
      boxes: boxesOf(targets),
      total: total.item(),
      terms: Object.fromEntries(losses.map(([name, value]) => [name, value.item()])),
    };
  }

  /** Adds the part of a batch. Parts in another order give other last digits. */
  add({ boxes, total, terms }: LossPart): void {
    this.#boxes += boxes;
    this.#total += total;
    for (const [name, value] of Object.entries(terms)) this.#terms.set(name, (this.#terms.get(name) ?? 0) + value);
  }

  /** The loss of all that was added. */
  get mean(): SplitLoss {
    const count = Math.max(1, this.#boxes);
    const terms = Object.fromEntries([...this.#terms].map(([name, sum]) => [name, sum / count]));
    return { loss: this.#total / count, terms };
  }
}

/** The objects of an image as training has them. */
function targetOf({ truths, origSizes, ...seen }: EvaluationBatch, image: number): Target {
  const { boxes, labels, crowd, masks } = truths[image];
  const [height, width] = origSizes[image];
  const objects = Array.from(labels, (_, i) => i).filter((i) => !crowd?.[i]);
  return {
    imageId: image,
    labels: Int32Array.from(objects, (i) => Number(labels[i])),
    boxes: Float32Array.from(
      objects.flatMap((i) => {
        const [x1, y1, x2, y2] = [0, 1, 2, 3].map((side) => Number(boxes[4 * i + side]));
        return [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height];
      }),
    ),
    ...(masks === undefined ? {} : { masks: objects.map((i) => resampleMask(masks[i], seen.height, seen.width)) }),
  };
}
