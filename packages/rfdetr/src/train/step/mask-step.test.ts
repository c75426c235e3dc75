import { manualSeed, noGrad } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { decodeMask, type Mask, maskArea, maskBox } from "../../masks/mask.js";
import type { SegmentationHead } from "../../model/decoder/segmentation-head.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { trainedWith } from "../../settings/precision.js";
import { resolveSettings } from "../../settings/resolve.js";
import { calibrateSubject } from "../measure/calibrate-step.js";
import { randomBatch } from "../measure/random-batch.js";
import { replayStep } from "../measure/replay.js";
import { type StepResult, trainingStep } from "./step.js";
import { type MicroBatch, type StepParts, stepParts } from "./step-parts.js";
import type { WholeStep } from "./whole-step.js";

const config = resolveModel("seg-tiny");

/** A fresh model, always with the same weights, and its training. */
function partsOf(options: Record<string, unknown> = {}, precision: "32-true" | "bf16-mixed" = "32-true"): StepParts {
  manualSeed(1);
  const settings = resolveSettings({ datasetDir: "-", model: "seg-tiny", ...options });
  return stepParts(new RFDETRModel(config).train(), settings, { precision, device: "cpu" });
}
const batchOf = (images = 2, objects = 3): MicroBatch => {
  manualSeed(0);
  return randomBatch(images, config.resolution, config.numClasses, objects, true);
};
const termsOf = ({ terms }: StepResult): string[] => [...terms.keys()].filter((name) => name.includes("mask"));

describe("random batches", () => {
  it("have masks that fill their boxes as ellipses do, if they are asked for", () => {
    const side = 200;
    manualSeed(0);
    for (const { boxes, masks = [], labels } of randomBatch(3, side, 4, 5, true).targets) {
      expect(masks).toHaveLength(labels.length);
      masks.forEach((mask: Mask, i) => {
        const [x, y, w, h] = [...boxes.subarray(4 * i, 4 * i + 4)].map((v) => v * side);
        const near = [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
        for (const [k, edge] of (maskBox(mask) as number[]).entries()) expect(Math.abs(edge - near[k])).toBeLessThan(2);
        expect(maskArea(mask) / ((Math.PI / 4) * w * h)).toBeCloseTo(1, 1);
        expect(decodeMask(mask).reduce((sum, bit) => sum + bit, 0)).toBe(maskArea(mask));
      });
    }
    expect(randomBatch(1, 32, 4).targets[0].masks).toBeUndefined();
  });
});

describe("a step of a model with a segmentation head", () => {
  it("trains every weight of the head, also where the images have no objects", () => {
    for (const objects of [3, 0]) {
      const parts = partsOf();
      const head = [...parts.model.namedParameters()].filter(([name]) => name.startsWith("segmentation_head"));
      const before = head.map(([, parameter]) => parameter.detach().flatten().toList());
      const result = trainingStep(parts, [batchOf(2, objects)]);
      expect([result.applied, termsOf(result)]).toEqual([
        true,
        ["", "_0", "_enc"].flatMap((suffix) => [`loss_mask_ce${suffix}`, `loss_mask_dice${suffix}`]),
      ]);
      expect(head.length).toBeGreaterThan(10);
      // Without objects weight decay alone moves weights: biases have none of it, and start at 0.
      if (objects > 0)
        head.forEach(([name, parameter], i) => {
          expect(parameter.detach().flatten().toList(), name).not.toEqual(before[i]);
        });
    }
  });

  it("weighs the masks as the settings say", () => {
    const total = (options: Record<string, unknown>): StepResult =>
      trainingStep(partsOf(options), [batchOf()], { whole: whole([7, 1]) });
    const [own, none] = [total({}), total({ maskCeLossCoef: 0, maskDiceLossCoef: 0 })];
    const masks = termsOf(own).reduce((sum, name) => sum + (own.terms.get(name) as number), 0);
    // The matches change too, so the other terms are only near.
    expect(Math.abs(own.loss - none.loss - 5 * masks) / own.loss).toBeLessThan(0.2);
    expect(none.loss).toBeLessThan(own.loss);
  });

  it("draws its points from seed, step and micro-batch alone, so that it is the same after a resume", () => {
    const run = (seed: readonly number[], disturb = 0): StepResult => {
      const parts = partsOf();
      manualSeed(disturb);
      return trainingStep(parts, [batchOf()], { whole: whole(seed) });
    };
    const [first, again, other] = [run([7, 1]), run([7, 1], 5), run([7, 2])];
    expect([again.loss, again.gradNorm]).toEqual([first.loss, first.gradNorm]);
    expect(other.loss).not.toBe(first.loss);
  });

  it("has the bits of several shares when one process computes them all", () => {
    const batches = [batchOf(1, 2), batchOf(1, 3)];
    const step = (shares: number): number =>
      trainingStep(partsOf(), batches, { whole: { ...whole([7, 1]), microBatches: 2, numbers: [0, 1], shares } })
        .gradNorm;
    expect(step(2)).toBe(step(1));
  });

  it("computes masks in float32 under autocast, near to float32 throughout", () => {
    const [low, full] = (["bf16-mixed", "32-true"] as const).map((precision) =>
      trainingStep(partsOf({}, precision), [batchOf()], { whole: whole([7, 1]) }),
    );
    for (const name of ["loss_mask_ce", "loss_mask_dice"]) {
      const [a, b] = [low, full].map(({ terms }) => terms.get(name) as number);
      expect(Math.abs(a / b - 1), name).toBeLessThan(0.05);
    }
  });

  it("names the losses of masks that are not finite, and finds where they began when it is run again", () => {
    const parts = partsOf();
    const { bias } = parts.model.segmentationHead as SegmentationHead;
    noGrad(() => void bias.fill_(Number.NaN));
    const batch = batchOf();
    expect(trainingStep(parts, [batch]).fault?.what).toBe("loss of micro-batch 1 of 1 (loss_mask_ce, loss_mask_dice)");
    const step = { step: 1, precision: "32-true", files: [], scale: 1, size: null } as const;
    expect(replayStep(parts, [batch], step).module).toBe("segmentation_head.bias");
  });

  it("is measured in every precision at the same points", () => {
    const { model, criterion } = partsOf();
    const rules = trainedWith(resolveSettings({ datasetDir: "-", model: "seg-tiny" }), null);
    const subject = { model, criterion, batch: batchOf(), classNames: [], rules, device: "cpu", trained: false };
    const { precisions } = calibrateSubject(subject, { precisions: ["32-true"], rounds: 1 });
    expect(precisions[0].loss_error).toBeLessThan(1e-4);
    expect(precisions[0].gradient_cosine).toBeGreaterThan(0.999);
  });

  it("has the exact gradient in bfloat16 but for choices among queries, matches and points", () => {
    const { model, criterion } = partsOf();
    const rules = trainedWith(resolveSettings({ datasetDir: "-", model: "seg-tiny" }), null);
    const subject = { model, criterion, batch: batchOf(), classNames: [], rules, device: "cpu", trained: false };
    const [, { gradient_cosine, rounding_cosine, choices }] = calibrateSubject(subject, {
      precisions: ["bf16-mixed"],
      rounds: 1,
    }).precisions;
    expect(choices.map(({ path, operator }) => `${path} ${operator}`)).toEqual([
      "transformer.query_selection topk",
      "(outside of modules) linear_sum_assignment",
      "(outside of modules) topk",
    ]);
    // One minus a cosine is half of the squared relative error: 1.5 % of rounding give 1e-4, other choices 0.04.
    expect(1 - rounding_cosine).toBeLessThan(5e-4);
    expect(1 - gradient_cosine).toBeGreaterThan(10 * (1 - rounding_cosine));
  });
});

/** A step of one micro-batch. */
const whole = (seed: readonly number[]): WholeStep => ({
  microBatches: 1,
  shares: 1,
  numbers: [0],
  boxes: null,
  seed,
});
