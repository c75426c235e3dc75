import { describe, expect, it } from "vitest";
import { skippedEvent as skipped, stepEvent } from "../../testing/runs/run-events.js";
import { isScaleSearch, SkippedSteps } from "./skipped-step.js";

const line = (event: typeof skipped): string[] => new SkippedSteps().step(event);

describe("a skipped step", () => {
  it("is one line with the loss scale, what was not finite and the module", () => {
    expect(line(skipped)).toEqual([
      "step 214 skipped, loss scale 65536 → 32768: gradient of class_embed.weight not finite, began in transformer.decoder.layers.1.cross_attn",
    ]);
    expect(line(stepEvent)).toEqual([]);
  });

  it("says nothing of a scale, a module or micro-batches that there are not", () => {
    const fault = { what: "loss of micro-batch 1 of 1 (loss_bbox)", module: "loss_bbox", scale: 1 };
    expect(line({ ...skipped, step: 1200, lossScale: null, fault })).toEqual([
      "step 1,200 skipped: loss (loss_bbox) not finite",
    ]);
    expect(line({ ...skipped, lossScale: null, fault: { ...fault, what: "loss of micro-batch 2 of 4" } })[0]).toContain(
      "loss of micro-batch 2 of 4 not finite, began in loss_bbox",
    );
  });

  it("names the process where it began, and the image", () => {
    const fault = { what: "gradient of w", module: "m", scale: 1, rank: 3, image: "a/b.jpg" };
    expect(line({ ...skipped, lossScale: null, fault })).toEqual([
      "step 214 skipped: gradient of w not finite, began in m on rank 3, with a/b.jpg",
    ]);
    const loss = { ...fault, what: "loss of micro-batch 4 of 4 on rank 3 (loss_bbox)", module: "loss_bbox" };
    expect(line({ ...skipped, lossScale: null, fault: loss })).toEqual([
      "step 214 skipped: loss of micro-batch 4 of 4 on rank 3 (loss_bbox) not finite, with a/b.jpg",
    ]);
  });

  it("is expected where the loss is finite and only its scale is too high", () => {
    expect(isScaleSearch(skipped)).toBe(true);
    expect(isScaleSearch({ ...skipped, loss: Number.NaN })).toBe(false);
    expect(isScaleSearch(stepEvent)).toBe(false);
  });
});

describe("a series of skipped steps", () => {
  const told = (length: number): string[] => {
    const steps = new SkippedSteps();
    const series = Array.from({ length }, (_, i) => ({
      ...skipped,
      step: 10 + i,
      fault: { what: "loss", module: null, scale: 2 ** (16 - i) },
      lossScale: 2 ** (15 - i),
    }));
    return [...series, stepEvent].flatMap((event) => steps.step(event)).map((text) => text.replace(/:.*/, ""));
  };
  const three = [
    "step 10 skipped, loss scale 65536 → 32768",
    "step 11 skipped, loss scale 32768 → 16384",
    "step 12 skipped, loss scale 16384 → 8192",
  ];

  it.each([
    [3, three],
    [4, [...three, "step 13 skipped, loss scale 8192 → 4096"]],
    [5, [...three, "steps 13 to 14 skipped too, loss scale 8192 → 2048"]],
    [9, [...three, "steps 13 to 18 skipped too, loss scale 8192 → 128"]],
  ])("of %i has a line for each of the first three, and one for the rest", (length, lines) => {
    expect(told(length)).toEqual(lines);
  });

  it("is told at the latest when the epoch ends, and begins anew then", () => {
    const steps = new SkippedSteps();
    const lines = Array.from({ length: 6 }, (_, i) => steps.step({ ...skipped, step: i + 1 })).flat();
    expect(lines).toHaveLength(3);
    expect(steps.rest()).toEqual(["steps 4 to 6 skipped too, loss scale 65536 → 32768"]);
    expect(steps.rest()).toEqual([]);
    expect(steps.step({ ...skipped, step: 7 })).toHaveLength(1);
  });
});
