import { memory, resetPeakMemory } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import type { Shape } from "../../support/shape.js";
import { randomBatch } from "../../train/measure/random-batch.js";
import { trainingStep } from "../../train/step/step.js";
import { averageOf, disposeTraining, stepParts } from "../../train/step/step-parts.js";
import { checkMemory, estimatedMemory } from "./memory-check.js";

const precision = "32-true";
const device = "cpu";
const asked = (options: object) => resolveSettings({ datasetDir: "-", model: "tiny", ...options });
const step = (size: Shape, model = "tiny") => ({
  ...({ size, precision, device, sharedBy: 1, config: resolveModel(model) } as const),
  modelAt: (side: number) => resolveModel(model, { resolution: side }),
});

describe("the memory of a step", () => {
  it("is estimated from small images within a quarter", () => {
    const [batchSize, size] = [3, 512];
    const settings = asked({ batchSize });
    const estimate = estimatedMemory(settings, step(size));
    const before = memory(device).liveBytes;
    const parts = stepParts(new RFDETRModel(resolveModel("tiny", { resolution: size })), settings, {
      precision,
      device,
    });
    const ema = averageOf(parts.model, settings);
    const batch = randomBatch(batchSize, size, parts.model.config.numClasses);
    trainingStep(parts, [batch], { ema });
    resetPeakMemory(device);
    trainingStep(parts, [batch], { ema });
    const needed = memory(device).peakBytes - before;
    disposeTraining(parts, ema);
    expect(estimate / needed).toBeGreaterThan(0.75);
    expect(estimate / needed).toBeLessThan(1.25);
  });

  it("that no machine has is refused with the estimate, before anything of its size is made", () => {
    resetPeakMemory(device);
    const before = memory(device).peakBytes;
    expect(() => checkMemory(asked({ batchSize: 4096 }), step(16_384))).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG",
        message: expect.stringMatching(
          /^A step on 4,096 images of 16384 pixels would take about [\d.,]+ [TP]iB, by what .* take, but .* available$/,
        ),
        hint: expect.stringContaining("`resolution`"),
      }),
    );
    expect(memory(device).peakBytes - before).toBeLessThan(1e9);
    expect(() => checkMemory(asked({ batchSize: 4 }), step(128))).not.toThrow();
  });
});
