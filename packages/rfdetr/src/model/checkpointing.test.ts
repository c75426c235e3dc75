import type { Precision } from "@rfdetr/amp";
import { manualSeed, memory, nn, scope } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import type { Target } from "../data/target.js";
import { fillImages, fillModel } from "../instruments/peers/deterministic-fill.js";
import { Criterion } from "../loss/criterion.js";
import type { SegmentationHead } from "./decoder/segmentation-head.js";
import { inFloat32, type MaskFeatures } from "./outputs.js";
import { modelAutocast } from "./precision/precision.js";
import { RFDETRModel } from "./rfdetr.js";
import { memoryUses } from "./types.js";
import { resolveModel } from "./variants.js";

const config = resolveModel("tiny");
const model = new RFDETRModel(config);
fillModel(model);
model.train();
const criterion = new Criterion({ groupDetr: config.groupDetr });
const targets: Target[] = [
  { imageId: 0, labels: Int32Array.of(1, 3), boxes: Float32Array.of(0.3, 0.4, 0.2, 0.2, 0.7, 0.6, 0.3, 0.1) },
];

/** Runs a training step. @returns its loss, its gradients and the bytes that forward kept for backward */
function step(
  checkpointing: boolean,
  precision: Precision,
): { loss: number; gradients: Map<string, Float32Array>; kept: number } {
  model.checkpointing = checkpointing;
  for (const parameter of model.parameters()) parameter.grad = null;
  manualSeed(5);
  const autocast = modelAutocast(model, { precision });
  const images = fillImages(1, config.resolution, config.resolution);
  const result = scope(() => {
    const before = memory().liveBytes;
    const outputs = autocast.run(() => model.call(images));
    const kept = memory().liveBytes - autocast.cachedBytes - before;
    const { total } = criterion.compute(outputs, targets, { training: true });
    total.backward();
    return { loss: total.item(), kept };
  });
  autocast.clearCache();
  model.checkpointing = false;
  const gradients = new Map(
    [...model.namedParameters()].flatMap(([name, { grad }]) =>
      grad === null ? [] : [[name, grad.toArray() as Float32Array] as const],
    ),
  );
  return { ...result, gradients };
}

/** The largest difference, divided by the largest value. */
function difference(a: Map<string, Float32Array>, b: Map<string, Float32Array>): number {
  let [largest, size] = [0, 0];
  for (const [name, values] of a)
    values.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - (b.get(name) as Float32Array)[i]));
      size = Math.max(size, Math.abs(value));
    });
  return largest / size;
}

describe.each(["32-true", "bf16-mixed", "16-mixed"] as const)("activation checkpointing in %s", (precision) => {
  it("gives the loss and the gradients of a step without it, with less memory", () => {
    const plain = step(false, precision);
    const spared = step(true, precision);
    expect(spared.loss).toBe(plain.loss);
    expect([...spared.gradients.keys()]).toEqual([...plain.gradients.keys()]);
    // The kernels and their inputs are the same. Gradients of tensors that several blocks read are summed in another
    // order.
    expect(difference(plain.gradients, spared.gradients)).toBeLessThan(precision === "32-true" ? 1e-6 : 1e-2);
    expect(spared.kept).toBeLessThan(0.7 * plain.kept);
  });
});

describe.each(["32-true", "bf16-mixed"] as const)("lean and leanest memory in %s", (precision) => {
  it("give the loss and the gradients of a step without them, each with less memory where MLPs have kernels", () => {
    const [plain, lean, leanest] = memoryUses.map((use) => {
      model.memory = use;
      return step(false, precision);
    });
    model.memory = "default";
    for (const spared of [lean, leanest]) {
      expect(spared.loss).toBe(plain.loss);
      expect([...spared.gradients.keys()]).toEqual([...plain.gradients.keys()]);
      expect(difference(plain.gradients, spared.gradients)).toBeLessThan(precision === "32-true" ? 1e-6 : 1e-2);
    }
    expect(lean.kept).toBeLessThan(plain.kept);
    expect(leanest.kept).toBeLessThan(lean.kept);
  });
});

describe("activation checkpointing with stochastic depth", () => {
  it("draws the same random numbers in backward as in forward", () => {
    const paths = [...model.namedModules()].flatMap(([, module]) => (module instanceof nn.DropPath ? [module] : []));
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) path.p = 0.5;
    try {
      const plain = step(false, "32-true");
      const spared = step(true, "32-true");
      expect(spared.loss).toBe(plain.loss);
      expect(difference(plain.gradients, spared.gradients)).toBeLessThan(1e-6);
    } finally {
      for (const path of paths) path.p = 0;
    }
  });
});

describe.each(["32-true", "bf16-mixed"] as const)("masks in %s", (precision) => {
  const config = resolveModel("seg-tiny");
  const model = new RFDETRModel(config);
  fillModel(model);
  model.train();

  /** A step whose loss are the squares of all mask features. @returns it, its gradients and what forward kept */
  function maskStep(): { loss: number; gradients: Map<string, Float32Array>; kept: number } {
    for (const parameter of model.parameters()) parameter.grad = null;
    const autocast = modelAutocast(model, { precision });
    const images = fillImages(1, config.resolution, config.resolution);
    const result = scope(() => {
      const before = memory().liveBytes;
      const outputs = inFloat32(autocast.run(() => model.call(images)));
      const kept = memory().liveBytes - autocast.cachedBytes - before;
      const terms = [outputs, ...outputs.auxOutputs, outputs.encOutputs].flatMap(({ predMasks }) => {
        const { spatialFeatures, queryFeatures, bias } = predMasks as MaskFeatures;
        return [spatialFeatures, queryFeatures, bias].map((features) => features.mul(features).mean());
      });
      const total = terms.reduce((sum, term) => sum.add(term));
      total.backward();
      return { loss: total.item(), kept };
    });
    autocast.clearCache();
    const gradients = new Map(
      [...model.namedParameters()].flatMap(([name, { grad }]) =>
        grad === null ? [] : [[name, grad.toArray() as Float32Array] as const],
      ),
    );
    return { ...result, gradients };
  }

  it("have the loss and the gradients of a step without checkpointing, with less memory", () => {
    const plain = maskStep();
    model.checkpointing = true;
    const spared = maskStep();
    (model.segmentationHead as SegmentationHead).checkpointing = false;
    const withHead = maskStep();
    model.checkpointing = false;
    expect(spared.loss).toBe(plain.loss);
    expect([...spared.gradients.keys()]).toEqual([...plain.gradients.keys()]);
    expect(plain.gradients.has("segmentation_head.blocks.0.dwconv.weight")).toBe(true);
    expect(difference(plain.gradients, spared.gradients)).toBeLessThan(precision === "32-true" ? 1e-6 : 1e-2);
    // The layers of encoder and decoder spare some. Each block of the head spares its normed map and more: at least
    // that in bfloat16.
    expect(withHead.kept).toBeLessThan(plain.kept);
    const block = 2 * config.hiddenDim * (config.resolution / config.maskDownsampleRatio) ** 2;
    expect(spared.kept).toBeLessThan(withHead.kept - config.decLayers * block);
  });

  it("have the loss and the gradients of a step with default memory in the leanest, with less memory", () => {
    const plain = maskStep();
    model.memory = "leanest";
    const spared = maskStep();
    model.memory = "default";
    expect(spared.loss).toBe(plain.loss);
    expect(difference(plain.gradients, spared.gradients)).toBeLessThan(precision === "32-true" ? 1e-6 : 1e-2);
    expect(spared.kept).toBeLessThan(plain.kept);
  });
});
