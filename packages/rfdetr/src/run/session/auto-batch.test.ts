import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resolveModel } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import { autoBatch, chooseBatch, type StepMemory } from "./auto-batch.js";

const gib = 2 ** 30;

/** Memory of which the plain step is the largest part. */
const plain =
  (bytes: (batch: number) => number) =>
  (batch: number): StepMemory => ({ step: bytes(batch), watched: 0, replay: 0, outside: 0 });

describe("the batch size that fits", () => {
  it("is the wanted one where memory is plenty", () => {
    expect(
      chooseBatch(
        16,
        100 * gib,
        plain((b) => b * gib),
      ),
    ).toMatchObject({ batchSize: 16, gradAccumSteps: 1 });
  });

  it("leaves a fifth of the memory free, and accumulates the rest", () => {
    // 1 GiB + 1 GiB an image, 10 GiB: 8 GiB hold 7 images, and three batches of 7 make 16.
    expect(
      chooseBatch(
        16,
        10 * gib,
        plain((b) => (1 + b) * gib),
      ),
    ).toMatchObject({ batchSize: 7, gradAccumSteps: 3 });
  });

  it("says what to do when one image does not fit", () => {
    expect(() =>
      chooseBatch(
        16,
        gib,
        plain((b) => b * gib),
      ),
    ).toThrow(
      expect.objectContaining({
        message: "A step on one image takes 1.00 GiB but only 819 MiB of 1.00 GiB may be used",
        hint: expect.stringContaining("`resolution`"),
      }),
    );
  });

  it("counts the largest of a plain, a watched and a repeated step, and what lies outside of tensors", () => {
    const bytes = (one: Partial<StepMemory>) => (b: number) => ({ step: b, watched: 0, replay: 0, outside: 0, ...one });
    const fits = (one: (b: number) => StepMemory) => chooseBatch(64, 100, one).batchSize;
    expect(fits(bytes({}))).toBe(64);
    expect(fits((b) => ({ ...bytes({})(b), watched: 4 * b }))).toBe(20);
    expect(fits((b) => ({ ...bytes({})(b), replay: 8 * b }))).toBe(10);
    expect(fits((b) => ({ ...bytes({})(b), watched: 4 * b, outside: 40 }))).toBe(10);
  });

  it("never takes more than the budget, never more images than wanted, and always reaches the wanted number", () => {
    const size = fc.integer({ min: 1, max: 1000 });
    const part = fc.tuple(size, size);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.record({ step: part, watched: part, replay: part, outside: part }),
        fc.integer({ min: 1000, max: 100_000 }),
        (wanted, parts, available) => {
          const at = (batch: number): StepMemory =>
            Object.fromEntries(
              Object.entries(parts).map(([name, [base, each]]) => [name, base + each * batch]),
            ) as unknown as StepMemory;
          const bytes = (batch: number): number => {
            const { step, watched, replay, outside } = at(batch);
            return Math.max(step, watched, replay) + outside;
          };
          fc.pre(bytes(1) <= 0.8 * available);
          const { batchSize, gradAccumSteps } = chooseBatch(wanted, available, at);
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
    expect(
      autoBatch(settings, { config, size: config.resolution, precision: "bf16-mixed", device: "cpu" }),
    ).toMatchObject({
      batchSize: 4,
      gradAccumSteps: 1,
    });
  });
});
