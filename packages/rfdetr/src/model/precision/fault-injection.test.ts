import { type Fault, faultHeadline, type Precision, replay } from "@rfdetr/amp";
import { getRngState, type nn, noGrad, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import type { Target } from "../../data/target.js";
import { fillImages, fillModel } from "../../instruments/peers/deterministic-fill.js";
import { Criterion } from "../../loss/criterion.js";
import type { Outputs } from "../outputs.js";
import { RFDETRModel } from "../rfdetr.js";
import { resolveModel } from "../variants.js";
import { modelAutocast } from "./precision.js";

const config = resolveModel("tiny");
const model = new RFDETRModel(config);
const criterion = new Criterion({ groupDetr: config.groupDetr });
const images = fillImages(2, config.resolution, config.resolution);
const targets = (): Target[] =>
  [0, 1].map((imageId) => ({
    imageId,
    labels: Int32Array.of(1, 3),
    boxes: Float32Array.of(0.3, 0.4, 0.2, 0.2, 0.7, 0.6, 0.3, 0.1),
  }));

/** Replays a step with a fault. @returns the report of what was not finite first */
function faulty(options: { precision?: Precision; scale?: number; images?: Tensor; targets?: Target[] } = {}): Fault {
  const { precision = "bf16-mixed", scale = 1 } = options;
  const given = options.images ?? images;
  const autocast = modelAutocast(model, { precision });
  const run = (): void =>
    scope(() => {
      const outputs = autocast.run(() => model.call(given)) as Outputs;
      criterion
        .compute(outputs, options.targets ?? targets(), { training: true })
        .total.mul(scale)
        .backward();
    });
  const report = replay({
    model,
    inputs: [["images", given]],
    run,
    rngState: getRngState(),
  });
  autocast.clearCache();
  return report;
}

/** Runs `body` while the output of a module passes through `spoil`. */
function spoiled<T>(path: string, spoil: (output: Tensor) => Tensor, body: () => T): T {
  const module = [...model.namedModules()].find(([name]) => name === path)?.[1] as nn.Module & {
    forward: (...args: never[]) => unknown;
  };
  const original = module.forward;
  module.forward = (...args) => spoil(original.apply(module, args as never[]) as Tensor);
  try {
    return body();
  } finally {
    module.forward = original;
  }
}

describe("replay finds the place of a fault in the detector", () => {
  fillModel(model);
  model.train();

  it("nothing without a fault", () => {
    expect(faulty()).toMatchObject({ phase: "none", bad_parameter: null });
  });

  it("NaN in an image", () => {
    const bad = images.clone();
    noGrad(() => bad.select(0, 1).select(0, 2).select(0, 5).fill_(Number.NaN));
    expect(faulty({ images: bad })).toMatchObject({ phase: "input", module: "images" });
  });

  it("NaN in a weight", () => {
    const weight = model.transformer.decoder.layers[1].linear2.weight;
    const before = weight.toArray() as Float32Array;
    noGrad(() => weight.select(0, 3).fill_(Number.NaN));
    expect(faulty()).toMatchObject({ phase: "weight", module: "transformer.decoder.layers.1.linear2.weight" });
    weight.detach().copyFrom(before);
  });

  it.each([
    "backbone.0.encoder.encoder.encoder.layer.1.mlp.fc1",
    "transformer.decoder.layers.0.cross_attn.value_proj",
    "class_embed",
  ])("infinity in an activation of %s", (path) => {
    const report = spoiled(
      path,
      (output) => output.div(0),
      () => faulty(),
    );
    expect(report).toMatchObject({ phase: "forward", module: path, operator: "div" });
    expect(report.trail.length).toBeGreaterThan(0);
    expect(report.trail.length).toBeLessThanOrEqual(20);
    expect(report.inputs.every((input) => input.nan === 0)).toBe(true);
    expect(faultHeadline(report)).toContain(path);
  });

  it("NaN in a gradient", () => {
    const hook = (output: Tensor): Tensor => {
      output.registerHook((gradient) => gradient.mul(Number.NaN));
      return output;
    };
    const report = spoiled("transformer.decoder.layers.0.linear1", hook, () => faulty());
    // The first module whose output gets the NaN gradient is the one that linear1 reads from.
    expect(report).toMatchObject({ phase: "backward", module: "transformer.decoder.layers.0.norm2" });
    expect(report.readers).toContain("transformer.decoder.layers.0.linear1");
    expect(report.bad_parameters).toBeGreaterThan(10);
  });

  it("NaN in a target box", () => {
    const bad = targets();
    bad[1].boxes[2] = Number.NaN;
    expect(faulty({ targets: bad })).toMatchObject({ phase: "target", module: null });
  });

  it("a loss scale too large for float16", () => {
    const report = faulty({ precision: "16-mixed", scale: 2 ** 30 });
    expect(report.phase).toBe("backward");
    expect(report.bad_parameter).not.toBeNull();
  });
});
