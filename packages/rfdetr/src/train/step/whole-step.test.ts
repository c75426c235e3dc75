import { manualSeed, rand, scope, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import { randomBatch } from "../measure/random-batch.js";
import { GradientSum } from "./gradient-sum.js";
import { trainingStep } from "./step.js";
import { stepParts } from "./step-parts.js";
import { sumLosses } from "./step-peers.js";
import { boxesOfEach, meanBoxes, placesByShare, seedForward, type WholeStep } from "./whole-step.js";

const whole = (changes: Partial<WholeStep>): WholeStep => ({
  microBatches: 4,
  shares: 1,
  numbers: [0, 1, 2, 3],
  boxes: null,
  seed: null,
  ...changes,
});

describe("the micro-batches of a process", () => {
  it("are computed share by share, in the order of the shares", () => {
    expect(placesByShare(whole({}))).toEqual([[0, 1, 2, 3]]);
    expect(placesByShare(whole({ shares: 2 }))).toEqual([
      [0, 2],
      [1, 3],
    ]);
    // The second of two processes of a run for four, each with two micro-batches.
    expect(placesByShare(whole({ microBatches: 8, shares: 4, numbers: [1, 3, 5, 7] }))).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });
});

describe("the random numbers of forward", () => {
  const drawn = (seed: readonly number[], microBatch: number): number[] =>
    scope(() => {
      seedForward(whole({ seed }), microBatch);
      return rand([3]).toList() as number[];
    });

  it("depend on seed, step and micro-batch, and on nothing before", () => {
    const first = drawn([1, 5], 0);
    for (const other of [drawn([2, 5], 0), drawn([1, 6], 0), drawn([1, 5], 1)]) expect(other).not.toEqual(first);
    expect(drawn([1, 5], 0)).toEqual(first);
  });
});

describe("the losses of a step", () => {
  const loss = (number: number, value: number) => ({ number, loss: value, terms: [["loss_ce", value * 2]] as const });

  it("are added up in the order of the micro-batches, whoever computed them", () => {
    // In this order, 1 is lost in the rounding of the sum.
    const values = [1, 2 ** 54, -(2 ** 54), 3];
    const all = values.map((value, number) => loss(number, value));
    const { loss: sum, terms, bad } = sumLosses([all[1], all[3], all[0], all[2]], 4);
    expect([sum, bad]).toEqual([values[0] / 4 + values[1] / 4 + values[2] / 4 + values[3] / 4, null]);
    expect(terms.get("loss_ce")).toBe(2 * sum);
  });

  it("end with the first that is not finite", () => {
    const {
      loss: sum,
      terms,
      bad,
    } = sumLosses([loss(2, Number.NaN), loss(0, 1), loss(1, Number.POSITIVE_INFINITY)], 4);
    expect([sum, terms.get("loss_ce"), bad]).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 1]);
  });
});

describe("gradients of several shares", () => {
  it("are added up share by share, over all processes in the order of the ranks", () => {
    const parameter = tensor([0]);
    parameter.requiresGrad = true;
    // Of the values of two processes for two shares, in float32: 1e8 + 1 = 1e8.
    const others = [tensor([1]), tensor([-1e8])];
    const peers = {
      backward: () => {},
      exchange: () => [],
      gather: (own: typeof parameter) => [own, others.shift() as typeof parameter],
    };
    const sums = new GradientSum([parameter], peers);
    for (const value of [1e8, 3]) {
      parameter.mul(value).sum().backward();
      sums.add();
      expect(parameter.grad).toBeNull();
    }
    sums.finish();
    // ((1e8 + 1) + 3) − 1e8, from left to right.
    expect(parameter.grad?.toList()).toEqual([Math.fround(Math.fround(Math.fround(1e8 + 1) + 3) - 1e8)]);
  });
});

describe("box_normaliser step", () => {
  it("gives a step in parts the gradients of one batch, but for the rounding", () => {
    manualSeed(0);
    const config = resolveModel("tiny");
    const settings = resolveSettings({ datasetDir: "-", model: "tiny", clipMaxNorm: 0 });
    const [large, small] = [randomBatch(2, 96, config.numClasses, 12), randomBatch(2, 96, config.numClasses, 2)];
    const both = {
      ...large,
      images: Uint8Array.of(...large.images, ...small.images),
      targets: [...large.targets, ...small.targets],
    };
    const boxes = meanBoxes(boxesOfEach([large, small]));
    expect(boxes).toBe(14);
    const norm = (batches: (typeof large)[], step?: WholeStep): number => {
      manualSeed(1);
      const parts = stepParts(new RFDETRModel(config).train(), settings, { precision: "32-true", device: "cpu" });
      return trainingStep(parts, batches, { whole: step }).gradNorm;
    };
    const together = norm([both]);
    expect(norm([large, small], whole({ microBatches: 2, numbers: [0, 1], boxes })) / together).toBeCloseTo(1, 5);
    expect(Math.abs(norm([large, small]) / together - 1)).toBeGreaterThan(1e-3);
  });
});
