import { manualSeed, noGrad, rand, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { Criterion } from "../loss/criterion.js";
import { boxOutline, outlineMask } from "../masks/outline.js";
import type { Outputs } from "../model/outputs.js";
import type { EvaluationBatch } from "./batch.js";
import { ValidationLoss } from "./validation-loss.js";

const criterion = new Criterion({ groupDetr: 13 });

/** Outputs for three images, of which `cut` takes some. */
function outputs(cut: (x: Tensor) => Tensor): Outputs {
  manualSeed(1);
  const layer = () => ({ predLogits: cut(rand([3, 6, 3]).sub(0.5)), predBoxes: cut(rand([3, 6, 4]).mul(0.5)) });
  return { ...layer(), auxOutputs: [layer()], encOutputs: layer() };
}

/** Images of 200 × 100 pixels: with two objects and a crowd region, with one object, with none. */
const truths = [
  { boxes: [20, 10, 60, 50, 100, 0, 200, 100, 0, 0, 200, 100], labels: [0, 1, 1], crowd: [0, 0, 1] },
  { boxes: [0, 0, 100, 50], labels: [1] },
  { boxes: [], labels: [] },
];
const batchOf = (from: number, to: number): EvaluationBatch =>
  ({ truths: truths.slice(from, to), origSizes: truths.slice(from, to).map(() => [100, 200]) }) as never;

function lossOver(...batches: [from: number, to: number][]): ValidationLoss["mean"] {
  const loss = new ValidationLoss(criterion);
  for (const [from, to] of batches)
    noGrad(() =>
      scope(() =>
        loss.add(
          loss.of(
            batchOf(from, to),
            outputs((x) => x.narrow(0, from, to - from)),
          ),
        ),
      ),
    );
  return loss.mean;
}

describe("the loss of a split", () => {
  it("is that of the criterion over all its images and objects, whatever the batches are", () => {
    const targets = [
      { imageId: 0, labels: Int32Array.of(0, 1), boxes: Float32Array.of(0.2, 0.3, 0.2, 0.4, 0.75, 0.5, 0.5, 1) },
      { imageId: 1, labels: Int32Array.of(1), boxes: Float32Array.of(0.25, 0.25, 0.5, 0.5) },
      { imageId: 2, labels: new Int32Array(), boxes: new Float32Array() },
    ];
    const whole = noGrad(() => {
      const { total, terms } = criterion.compute(
        outputs((x) => x),
        targets,
        { training: false },
      );
      return { loss: total.item(), terms: Object.fromEntries([...terms].map(([name, value]) => [name, value.item()])) };
    });
    for (const { loss, terms } of [lossOver([0, 3]), lossOver([0, 1], [1, 3]), lossOver([0, 2], [2, 3])]) {
      expect(loss).toBeCloseTo(whole.loss, 4);
      expect(Object.keys(terms)).toHaveLength(9);
      for (const [name, value] of Object.entries(terms)) expect(value, name).toBeCloseTo(whole.terms[name], 4);
    }
  });

  it("is defined for a split without objects", () => {
    expect(lossOver([2, 3]).loss).toBeGreaterThan(0);
  });
});

it("the loss of a split has the masks of objects at the size of the images", () => {
  let seen: readonly Target[] = [];
  const watched = {
    compute: (_: Outputs, targets: readonly Target[]) => {
      seen = targets;
      return { total: tensor(0), terms: new Map() };
    },
  } as never as Criterion;
  const mask = (box: number[]) => outlineMask(boxOutline(box), 100, 200);
  const boxes = [20, 10, 60, 50, 0, 0, 200, 100];
  const truth = { boxes, labels: [0, 1], crowd: [0, 1], masks: [mask(boxes.slice(0, 4)), mask(boxes.slice(4))] };
  const batch = {
    truths: [truth, { boxes: [], labels: [], masks: [] }],
    origSizes: [
      [100, 200],
      [100, 200],
    ],
    height: 50,
    width: 50,
  };
  new ValidationLoss(watched).of(batch as never as EvaluationBatch, {} as never);
  expect(seen.map(({ masks }) => masks)).toEqual([[outlineMask(boxOutline([5, 5, 15, 25]), 50, 50)], []]);
});
