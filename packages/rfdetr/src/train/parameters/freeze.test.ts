import { manualSeed, noGrad, ops, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import { randomBatch } from "../measure/random-batch.js";
import { trainingStep } from "../step/step.js";
import { stepParts } from "../step/step-parts.js";
import { freezeModules } from "./freeze.js";

const tiny = resolveModel("tiny", { numClasses: 2 });
const settings = (options: object) => resolveSettings({ datasetDir: "-", model: "tiny", ...options });

describe("frozen modules", () => {
  it("get no gradient and no state of the optimizer, and keep their weights", () => {
    manualSeed(0);
    const model = new RFDETRModel(tiny);
    const wanted = settings({ freeze: ["backbone.*", "transformer.decoder.layers.0"] });
    expect(freezeModules(model, wanted)).toMatch(
      /^Frozen are [\d,]+ of [\d,]+ parameters, those of backbone\.\*, transformer\.decoder\.layers\.0$/,
    );
    const named = [...model.namedParameters()];
    const isFrozen = (name: string) => /^(backbone\.|transformer\.decoder\.layers\.0\.)/.test(name);
    expect(named.filter(([, { requiresGrad }]) => !requiresGrad).map(([name]) => name)).toEqual(
      named.map(([name]) => name).filter(isFrozen),
    );
    const before = new Map(named.map(([name, parameter]) => [name, noGrad(() => parameter.detach().clone())]));
    model.train();
    const parts = stepParts(model, wanted, { precision: "32-true", device: "cpu" });
    expect(parts.optimizer.parameters).toHaveLength(named.filter(([name]) => !isFrozen(name)).length);
    trainingStep(parts, [randomBatch(1, tiny.resolution, 2, 3)]);
    for (const [name, parameter] of named.filter(([each]) => isFrozen(each)))
      expect(ops.equal(parameter, before.get(name) as Tensor), name).toBe(true);
    expect(named.some(([name, parameter]) => !ops.equal(parameter, before.get(name) as Tensor))).toBe(true);
  });

  it("are the encoder alone with freeze_encoder, and none without a setting", () => {
    const model = new RFDETRModel(tiny);
    expect(freezeModules(model, settings({}))).toBeNull();
    expect(model.parameters().every(({ requiresGrad }) => requiresGrad)).toBe(true);
    expect(freezeModules(model, settings({ freezeEncoder: true }))).toMatch(/those of backbone\.0\.encoder$/);
    for (const [name, { requiresGrad }] of model.namedParameters())
      expect([name, requiresGrad]).toEqual([name, !name.startsWith("backbone.0.encoder.")]);
  });

  it("are refused where a pattern matches none, or nothing is left to train", () => {
    const model = new RFDETRModel(tiny);
    expect(() => freezeModules(model, settings({ freeze: ["transformer.decodr"] }))).toThrow(
      "Expected a pattern that matches a module for freeze but received transformer.decodr, which matches none: did you mean transformer.decoder?",
    );
    expect(() => freezeModules(model, settings({ freeze: ["**"] }))).toThrow(/left to train but freeze matches all/);
  });
});
