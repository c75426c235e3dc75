import { nn, noGrad, optim, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { parameterGroups } from "../parameters/parameter-groups.js";
import { Ema } from "../step/ema.js";
import { Schedule, type ScheduleSettings, scheduleFactor } from "./schedule.js";

describe("parameter groups of Nano", () => {
  it("are the package's 28, with its rates", () => {
    const model = new RFDETRModel(resolveModel("nano"));
    const names = new Map([...model.namedParameters()].map(([name, p]) => [p as Tensor, name]));
    const groups = parameterGroups(model, {
      lr: 1e-4,
      lrEncoder: 1.5e-4,
      lrVitLayerDecay: 0.8,
      lrComponentDecay: 0.7,
      weightDecay: 1e-4,
    });
    expect(groups.length).toBe(28);
    expect(groups.reduce((sum, g) => sum + g.params.length, 0)).toBe(465);
    expect([groups[0].params.length, groups[0].lr]).toEqual([192, 1e-4]);
    expect([groups[27].params.length, groups[27].lr]).toEqual([50, 1e-4 * 0.7]);
    const rate = (wanted: string): optim.ParameterGroup =>
      groups.find((g) => g.params.some((p) => names.get(p) === wanted)) as optim.ParameterGroup;
    const encoder = "backbone.0.encoder.encoder";
    expect(rate(`${encoder}.embeddings.cls_token`)).toMatchObject({ lr: expect.closeTo(3.2326e-6, 9), weightDecay: 0 });
    expect(rate(`${encoder}.encoder.layer.0.mlp.fc1.weight`)).toMatchObject({
      lr: expect.closeTo(4.0407e-6, 9),
      weightDecay: 1e-4,
    });
    expect(rate(`${encoder}.encoder.layer.11.mlp.fc1.weight`).lr).toBeCloseTo(4.704e-5, 8);
    expect(rate(`${encoder}.encoder.layer.0.layer_scale1.lambda1`).weightDecay).toBe(1e-4);
    expect(rate(`${encoder}.layernorm.weight`)).toMatchObject({ lr: expect.closeTo(7.35e-5, 9), weightDecay: 0 });
  });
});

describe("parameter groups of a model with masks", () => {
  it("give the segmentation head the rate and the decay of all that is neither encoder nor decoder", () => {
    const model = new RFDETRModel(resolveModel("seg-tiny"));
    const rates = { lr: 1e-4, lrEncoder: 1.5e-4, lrVitLayerDecay: 0.8, lrComponentDecay: 0.7, weightDecay: 1e-3 };
    const [first, ...others] = parameterGroups(model, rates);
    expect(first).toMatchObject({ lr: 1e-4, weightDecay: 1e-3 });
    const head = model.segmentationHead?.parameters() ?? [];
    expect(head.length).toBeGreaterThan(0);
    for (const parameter of head) expect(first.params).toContain(parameter);
    for (const { lr } of others) expect(lr).toBeLessThan(1e-4);
  });
});

describe("schedule", () => {
  const base: ScheduleSettings = { lr: 1, lrScheduler: "step", lrDrop: 2, minFactor: 0, warmupEpochs: 0 };
  it("drops by ten after lr_drop epochs", () => {
    expect([0, 19, 20, 50].map((t) => scheduleFactor(t, base, 10, 100))).toEqual([1, 1, 0.1, 0.1]);
  });
  it("warms up from zero", () => {
    expect([0, 2, 4, 5].map((t) => scheduleFactor(t, { ...base, warmupEpochs: 0.5 }, 10, 100))).toEqual([
      0, 0.4, 0.8, 1,
    ]);
  });
  it("follows a cosine or a line to min_factor and stays there", () => {
    const cosine = { ...base, lrScheduler: "cosine" as const, minFactor: 0.1 };
    expect(scheduleFactor(50, cosine, 10, 100)).toBeCloseTo(0.55, 12);
    expect([100, 130].map((t) => scheduleFactor(t, cosine, 10, 100))).toEqual([0.1, 0.1]);
    expect(scheduleFactor(25, { ...base, lrScheduler: "linear" }, 10, 100)).toBe(0.75);
  });
  it("keeps the ratios between groups", () => {
    const optimizer = new optim.AdamW([1, 2].map((lr) => ({ params: [], lr, weightDecay: 0 })));
    const schedule = new Schedule({ ...base, lrScheduler: "linear" }, 10, 100);
    for (const step of [0, 10, 50]) schedule.apply(optimizer, step);
    expect(optimizer.groups.map((g) => g.lr)).toEqual([0.5, 1]);
  });
});

describe("moving average", () => {
  class One extends nn.Module {
    w = nn.parameter(tensor([0]));
    override forward(): void {}
  }
  it("copies first, then follows the package's ramp", () => {
    const model = new One();
    const ema = new Ema(model, { decay: 0.993, tau: 100 });
    const seen = [1, 2, 3, 4].map((value) => {
      noGrad(() => model.w.fill_(value));
      ema.update();
      return ema.state().tensors.get("w")?.item();
    });
    for (const [i, value] of [1, 1.98034, 2.97008, 3.9599].entries()) expect(seen[i]).toBeCloseTo(value, 4);
    // decay·(1 − e^(−t/tau)) at these updates, from the package.
    for (const [t, decay] of [
      [2, 0.019662717],
      [10, 0.094496444],
      [100, 0.627695715],
      [1000, 0.992954918],
    ])
      expect(ema.decayAt(t)).toBeCloseTo(decay, 9);
  });
  it("refuses a state that lacks a weight, by its name", () => {
    const ema = new Ema(new One(), { decay: 0.9, tau: 10 });
    expect(() => ema.load({ tensors: new Map(), updates: 3 })).toThrow(
      "Expected the average of w [1] in the checkpoint but it is missing",
    );
    expect(ema.updates).toBe(0);
  });
  it("goes on from a saved state", () => {
    const [a, b] = [new One(), new One()];
    const [first, second] = [new Ema(a, { decay: 0.9, tau: 10 }), new Ema(b, { decay: 0.9, tau: 10 })];
    noGrad(() => a.w.fill_(5));
    first.update();
    second.load(first.state());
    noGrad(() =>
      scope(() => {
        a.w.fill_(7);
        b.w.fill_(7);
      }),
    );
    first.update();
    second.update();
    expect(second.state().tensors.get("w")?.item()).toBe(first.state().tensors.get("w")?.item());
  });
});
