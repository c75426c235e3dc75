import { readFileSync } from "node:fs";
import { GradScaler } from "@rfdetr/amp";
import { optim, scope, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillModel } from "../../instruments/peers/deterministic-fill.js";
import { Criterion } from "../../loss/criterion.js";
import type { DrawPoints } from "../../loss/points.js";
import { modelAutocast } from "../../model/precision/precision.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { type ExactBatch, exactStep, type GroupMarks, groupMarks } from "../../testing/exact-step.js";
import { goldenPoints } from "../../testing/mask-points.js";
import { referenceImages, referenceMasks, referenceTarget } from "../../testing/ranks/reference-batch.js";
import { parameterGroups } from "../parameters/parameter-groups.js";
import { Schedule } from "../schedule/schedule.js";
import { Ema } from "../step/ema.js";

interface Run {
  steps: { loss: number; gradient_norm: number; lr: number; terms: Record<string, number> }[];
  states: { step: number; groups: GroupMarks[] }[];
}
const golden = JSON.parse(readFileSync(new URL("./fixtures/mask-training.json", import.meta.url), "utf8")) as Run;

// Those of tools/reference/mask_training_goldens.py.
const config = resolveModel("seg-tiny");
const side = config.resolution;
const settings = { lr: 4e-4, lrEncoder: 6e-4, lrVitLayerDecay: 0.8, lrComponentDecay: 0.7, weightDecay: 1e-2 };

const batch = (number: number): ExactBatch => ({
  images: tensor(referenceImages(number, side), { shape: [2, 3, side, side] }).double(),
  targets: [2 * number, 2 * number + 1].map((image) => ({
    ...referenceTarget(image),
    masks: referenceMasks(image, side),
  })),
});

describe("six optimizer steps of the Python package for a model with a segmentation head", () => {
  it("are followed in float64 to 1e-8: losses, gradient norms, weights and averages of every parameter group", () => {
    const model = new RFDETRModel(config);
    fillModel(model);
    scope(() => void model.to("float64"));
    model.train();
    let points = goldenPoints();
    const draw: DrawPoints = (shape, device) => points(shape, device);
    const groups = parameterGroups(model, settings);
    const optimizer = new optim.AdamW(groups);
    const ema = new Ema(model, { decay: 0.9, tau: 10 });
    const parts = {
      model,
      criterion: new Criterion({ groupDetr: config.groupDetr, masks: { draw } }),
      autocast: modelAutocast(model, { precision: "32-true" }),
      optimizer,
      scaler: new GradScaler({ enabled: false }),
      device: "cpu",
      clipMaxNorm: 0.1,
    };
    // Every micro-batch draws the same points.
    const compute = parts.criterion.compute.bind(parts.criterion);
    parts.criterion.compute = (...args) => {
      points = goldenPoints();
      return compute(...args);
    };
    const { steps, states } = golden;
    const rates = { lr: settings.lr, lrScheduler: "cosine", lrDrop: 100, minFactor: 0.1, warmupEpochs: 0 } as const;
    const schedule = new Schedule(rates, steps.length, steps.length);
    const near = (own: number, there: number, name: string): void =>
      expect(Math.abs(own - there) / Math.max(Math.abs(there), 1e-3), name).toBeLessThan(1e-8);
    steps.forEach((there, step) => {
      near(schedule.apply(optimizer, step), there.lr, `rate of step ${step + 1}`);
      const taken = scope(() => exactStep(parts, ema, [batch(2 * step), batch(2 * step + 1)]));
      near(taken.loss, there.loss, `loss of step ${step + 1}`);
      near(taken.gradNorm, there.gradient_norm, `gradient norm of step ${step + 1}`);
      for (const [name, value] of Object.entries(there.terms))
        near(taken.terms.get(name) as number, value, `${name} of step ${step + 1}`);
      const state = states.find((each) => each.step === step + 1);
      const own = state === undefined ? [] : groupMarks(model, groups, ema);
      own.forEach((group, g) => {
        for (const kind of ["weights", "averages"] as const)
          for (const k of [0, 1])
            near(group[kind][k], state?.groups[g][kind][k] as number, `${kind} of group ${g} after step ${step + 1}`);
      });
      expect(own).toHaveLength(state?.groups.length ?? 0);
    });
    expect(states.map(({ step }) => step)).toEqual([3, 6]);
  });
});
