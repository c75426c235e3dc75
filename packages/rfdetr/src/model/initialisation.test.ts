import { manualSeed, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { RFDETRModel } from "./rfdetr.js";
import { resolveModel } from "./variants.js";

const build = (seed: number, variant = "demo"): Map<string, Tensor> => {
  manualSeed(seed);
  return new RFDETRModel(resolveModel(variant)).stateDict();
};

describe("a new model", () => {
  const state = build(1);
  const of = (pattern: RegExp): Tensor[] => [...state].filter(([key]) => pattern.test(key)).map(([, t]) => t);
  const amax = (t: Tensor): number => t.abs().max().item();
  const std = (t: Tensor): number => t.std(undefined, 0).item();

  it("has the same weights for the same seed, and others for another seed", () => {
    const [again, other] = [build(1), build(2)];
    for (const [key, t] of state) expect(again.get(key)?.toList(), key).toEqual(t.toList());
    expect(other.get("query_feat.weight")?.toList()).not.toEqual(state.get("query_feat.weight")?.toList());
  });

  it("predicts every class with probability 0.01, and the reference boxes as boxes", () => {
    for (const bias of of(/class_embed.*bias$/))
      for (const value of bias.toList() as number[]) expect(value).toBeCloseTo(-Math.log(99), 5);
    for (const last of of(/bbox_embed.*layers\.2\.|^refpoint_embed/)) expect(amax(last)).toBe(0);
  });

  it("starts the heads of the query selection as copies of the main heads", () => {
    const heads = [...state].filter(([key]) => key.startsWith("transformer.enc_out_"));
    expect(heads.length).toBe(3 * (6 + 2));
    for (const [key, t] of heads) {
      const main = key.replace(/^transformer\.enc_out_(\w+_embed)\.\d+/, "$1");
      expect(t.toList(), key).toEqual(state.get(main)?.toList());
    }
  });

  it("draws encoder weights and embeddings with standard deviation 0.02, and starts layer scales at 1", () => {
    for (const [key, t] of state) {
      if (!key.startsWith("backbone.0.encoder.") || t.shape.length < 2 || key.endsWith("mask_token")) continue;
      // Four standard errors of a standard deviation that is estimated from numel draws.
      expect(Math.abs(std(t) / 0.02 - 1), key).toBeLessThan(4 / Math.sqrt(2 * t.numel));
    }
    for (const t of of(/lambda1$/)) expect(new Set(t.toList() as number[])).toEqual(new Set([1]));
    for (const t of of(/^backbone\.0\.encoder\..*bias$|mask_token$/)) expect(amax(t)).toBe(0);
  });

  it("draws transformer weights from the Xavier uniform distribution, but starts the sampling offsets' at 0", () => {
    const uniform = of(
      /^transformer\.(decoder\.(layers.*(linear\d|_proj\.weight|in_proj_weight)|ref_point_head)|enc_output\.).*/,
    ).filter((t) => t.shape.length === 2);
    expect(uniform.length).toBe(2 * 6 + 2 + 3);
    for (const t of uniform) {
      const bound = Math.sqrt(6 / (t.shape[0] + t.shape[1]));
      expect(amax(t)).toBeLessThanOrEqual(bound * (1 + 1e-6));
      expect(amax(t)).toBeGreaterThan(0.99 * bound);
    }
    for (const t of of(/cross_attn\.(sampling_offsets\.weight|attention_weights\.)/)) expect(amax(t)).toBe(0);
  });

  it("draws content queries from the standard normal distribution", () => {
    for (const t of of(/^query_feat/)) expect(Math.abs(std(t) - 1)).toBeLessThan(4 / Math.sqrt(2 * t.numel));
  });

  it("with a segmentation head has the weights of a detector in all other parts", () => {
    const masked = build(1, "seg-demo");
    for (const [key, t] of state) expect(masked.get(key)?.toList(), key).toEqual(t.toList());
    const head = [...masked].filter(([key]) => !state.has(key));
    for (const [key] of head) expect(key).toMatch(/^segmentation_head\./);
    expect(amax(masked.get("segmentation_head.bias") as Tensor)).toBe(0);
    // PyTorch's default for a convolution: uniform up to 1/√fan.
    const depthwise = amax(masked.get("segmentation_head.blocks.1.dwconv.weight") as Tensor);
    expect(depthwise).toBeLessThanOrEqual(1 / 3);
    expect(depthwise).toBeGreaterThan(0.99 / 3);
  });
});
