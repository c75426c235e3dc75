import { readFileSync } from "node:fs";
import { manualSeed, noGrad, randn, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillModel, uniforms } from "../../instruments/peers/deterministic-fill.js";
import { Criterion } from "../../loss/criterion.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { referenceImages, referenceTarget } from "../../testing/ranks/reference-batch.js";
import { adaptEncoder, loadMerged, mergedWeights } from "./lora.js";

// That of tools/reference/lora_goldens.py.
const golden = JSON.parse(readFileSync(new URL("./fixtures/lora.json", import.meta.url), "utf8")) as {
  loss: number;
  trained: string[];
  adapters: Record<string, [number, number]>;
  others: [number, number];
};
const config = resolveModel("tiny");

/** The norm of tensors taken as one vector, and its product with reproducible numbers. */
function marks(gradients: ReadonlyMap<string, Tensor>, keys: readonly string[]): [number, number] {
  let [squares, projection] = [0, 0];
  for (const key of keys) {
    const values = scope(() => gradients.get(key)?.flatten().toArray()) as Float64Array;
    const probe = uniforms(`probe ${key}`, values.length);
    values.forEach((v, i) => {
      squares += v * v;
      projection += v * probe[i];
    });
  }
  return [Math.sqrt(squares), projection];
}

describe("adapters of the encoder", () => {
  it("train the parameters that the package trains, with its loss and its gradients", () => {
    const model = new RFDETRModel(config);
    fillModel(model);
    adaptEncoder(model);
    scope(() => void model.to("float64"));
    model.train();
    const parameters = [...model.namedParameters()];
    noGrad(() =>
      scope(() => {
        for (const [key, parameter] of parameters) {
          if (!key.includes(".lora_")) continue;
          const values = uniforms(key, parameter.numel).map((u) => Math.fround(u) * 0.125);
          const offset = key.endsWith("magnitude") ? 1 : 0;
          parameter.copy_(
            tensor(
              values.map((value) => value + offset),
              { shape: [...parameter.shape] },
            ),
          );
        }
      }),
    );
    expect(parameters.flatMap(([key, { requiresGrad }]) => (requiresGrad ? [key] : [])).sort()).toEqual(golden.trained);
    scope(() => {
      const side = config.resolution;
      const images = tensor(referenceImages(0, side), { shape: [2, 3, side, side] }).double();
      const targets = [referenceTarget(0), referenceTarget(1)];
      const { total } = new Criterion({ groupDetr: config.groupDetr }).compute(model.call(images), targets, {
        training: true,
      });
      expect(total.item() / golden.loss).toBeCloseTo(1, 10);
      total.backward();
    });
    const gradients = new Map(parameters.flatMap(([key, { grad }]) => (grad === null ? [] : [[key, grad] as const])));
    for (const [key, [norm, projection]] of Object.entries(golden.adapters)) {
      const [ownNorm, ownProjection] = marks(gradients, [key]);
      expect(Math.abs(ownNorm - norm) / norm, key).toBeLessThan(1e-8);
      expect(Math.abs(ownProjection - projection) / norm, key).toBeLessThan(1e-8);
    }
    const others = [...gradients.keys()].filter((key) => !key.includes(".lora_")).sort();
    expect(marks(gradients, others)[0] / golden.others[0]).toBeCloseTo(1, 8);
  });

  it("change nothing before they are trained, and are merged into weights of a plain model", () => {
    const [plain, model, again] = [1, 1, 2].map((seed) => {
      manualSeed(seed);
      return new RFDETRModel(config).eval();
    });
    for (const each of [model, again]) adaptEncoder(each);
    const images = randn([1, 3, config.resolution, config.resolution]);
    const logits = (of: RFDETRModel) =>
      noGrad(() => scope(() => Array.from(of.call(images).predLogits.toArray() as Float32Array)));
    const distance = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
    const before = logits(plain);
    expect(distance(logits(model), before)).toBeLessThan(1e-4);
    noGrad(() =>
      scope(() => {
        for (const [key, parameter] of model.namedParameters())
          if (/lora_[ab]$/.test(key)) parameter.copy_(randn(parameter.shape).mul(0.3));
      }),
    );
    const trained = logits(model);
    expect(distance(trained, before)).toBeGreaterThan(0.01);
    scope(() => {
      const merged = mergedWeights(model.stateDict());
      expect([...merged.keys()]).toEqual([...plain.stateDict().keys()]);
      plain.loadStateDict(merged);
      loadMerged(again, merged);
    });
    expect(distance(logits(plain), trained)).toBeLessThan(1e-4);
    expect(distance(logits(again), trained)).toBeLessThan(1e-4);
    expect(mergedWeights(plain.stateDict()).size).toBe(plain.stateDict().size);
  });
});
