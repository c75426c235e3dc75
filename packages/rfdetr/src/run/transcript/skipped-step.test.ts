import { describe, expect, it } from "vitest";
import { skippedEvent as skipped, stepEvent } from "../../testing/run-events.js";
import { isScaleSearch, skippedStep } from "./skipped-step.js";

describe("a skipped step", () => {
  it("is one line with what was not finite, the module and the loss scale", () => {
    expect(skippedStep(skipped)).toBe(
      "step 214 skipped, loss scale 65536 → 32768: gradient of class_embed.weight not finite, first in transformer.decoder.layers.1.cross_attn",
    );
    expect(skippedStep(stepEvent)).toBeNull();
  });

  it("says nothing of a scale or a module that there is not", () => {
    const fault = { what: "loss of micro-batch 1 of 1 (loss_bbox)", module: "loss_bbox", scale: 1 };
    expect(skippedStep({ ...skipped, step: 1200, lossScale: null, fault })).toBe(
      "step 1,200 skipped: loss of micro-batch 1 of 1 (loss_bbox) not finite",
    );
  });

  it("is counted only after the first hundred", () => {
    expect(skippedStep({ ...skipped, skippedSteps: 100 })).toMatch(/; further ones are only counted, and /);
    expect(skippedStep({ ...skipped, skippedSteps: 101 })).toBeNull();
  });

  it("is expected where the loss is finite and only its scale is too high", () => {
    expect(isScaleSearch(skipped)).toBe(true);
    expect(isScaleSearch({ ...skipped, loss: Number.NaN })).toBe(false);
    expect(isScaleSearch(stepEvent)).toBe(false);
  });
});
