import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import { autoBatch, chooseBatch } from "./auto-batch.js";

const gib = 2 ** 30;

describe("the batch size that fits", () => {
  it("is the wanted one where memory is plenty", () => {
    expect(chooseBatch(16, 100 * gib, (b) => b * gib)).toMatchObject({ batchSize: 16, gradAccumSteps: 1 });
  });

  it("leaves a fifth of the memory free, and accumulates the rest", () => {
    // 1 GiB + 1 GiB an image, 10 GiB: 8 GiB hold 7 images, and three batches of 7 make 16.
    expect(chooseBatch(16, 10 * gib, (b) => (1 + b) * gib)).toMatchObject({ batchSize: 7, gradAccumSteps: 3 });
  });

  it("says what to do when one image does not fit", () => {
    expect(() => chooseBatch(16, gib, (b) => b * gib)).toThrow(
      expect.objectContaining({
        message: "A step on one image takes 1.00 GiB but only 1.00 GiB is available",
        hint: expect.stringContaining("`resolution`"),
      }),
    );
  });

  it("never takes more than the budget, never more images than wanted, and always reaches the wanted number", () => {
    const size = fc.integer({ min: 1, max: 1000 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        size,
        size,
        fc.integer({ min: 1000, max: 100_000 }),
        (wanted, base, each, available) => {
          fc.pre(base + each <= 0.8 * available);
          const bytes = (batch: number) => base + each * batch;
          const { batchSize, gradAccumSteps } = chooseBatch(wanted, available, bytes);
          expect(bytes(batchSize)).toBeLessThanOrEqual(0.8 * available);
          expect(batchSize).toBeLessThanOrEqual(wanted);
          expect(batchSize * gradAccumSteps).toBeGreaterThanOrEqual(wanted);
        },
      ),
    );
  });

  it("is measured on real steps of the model", () => {
    const settings = resolveSettings({
      datasetDir: "-",
      model: "tiny",
      batchSize: "auto",
      autoBatchTargetEffective: 4,
    });
    const config = resolveModel("tiny");
    expect(autoBatch(settings, config, config.resolution, "bf16-mixed", "cpu")).toMatchObject({
      batchSize: 4,
      gradAccumSteps: 1,
    });
  });
});
