import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gradients, memory, ops, randn, resetPeakMemory, scope, type Tensor } from "./index.js";

function run(loss: (logits: Tensor) => Tensor, logits: Tensor, gradient: Tensor): Tensor[] {
  const leaf = logits.detach();
  leaf.requiresGrad = true;
  const out = loss(leaf);
  return [out, ...(gradients([out], [leaf], { outputGradients: [gradient] }) as Tensor[])];
}

describe("rfdetr::negative_loss", () => {
  it("equals its plain twin, over shapes, pieces, magnitudes and float types", () => {
    fc.assert(
      fc.property(
        fc.record({
          layers: fc.integer({ min: 1, max: 3 }),
          rows: fc.constantFrom(1, 7, 2000),
          classes: fc.integer({ min: 1, max: 91 }),
          magnitude: fc.constantFrom(1e-3, 3, 200),
          dtype: fc.constantFrom("float32" as const, "float64" as const),
        }),
        ({ layers, rows, classes, magnitude, dtype }) =>
          scope(() => {
            const logits = randn([layers, rows, classes]).mul(magnitude).to(dtype);
            const gradient = randn([layers]).to(dtype);
            const [ours, twin] = [ops.negativeLoss, ops.negativeLossComposed].map((loss) =>
              run(loss, logits, gradient),
            );
            ours.forEach((value, i) => {
              expect([value.dtype, value.shape]).toEqual([twin[i].dtype, twin[i].shape]);
              const error = value.sub(twin[i]).double().norm().item() / Math.max(twin[i].double().norm().item(), 1e-30);
              // Beyond 20 libtorch's softplus is its argument, and the slope of its composition 1 in place of σ.
              expect(error).toBeLessThan(dtype === "float32" ? 1e-5 : magnitude > 10 ? 1e-8 : 1e-12);
            });
          }),
      ),
      { numRuns: 40 },
    );
  });

  it("keeps nothing of the size of the logits but themselves", () => {
    scope(() => {
      const logits = randn([2, 4000, 91]);
      logits.requiresGrad = true;
      resetPeakMemory();
      const before = memory().liveBytes;
      const loss = ops.negativeLoss(logits);
      expect(memory().liveBytes - before).toBeLessThan(logits.nbytes / 10);
      expect(memory().peakBytes - before).toBeLessThan(logits.nbytes);
      expect(loss.shape).toEqual([2]);
    });
  });

  it("can be differentiated twice, and hands NaN on", () => {
    const logits = randn([1, 5]);
    logits.requiresGrad = true;
    const [first] = gradients([ops.negativeLoss(logits).sum()], [logits], { createGraph: true }) as Tensor[];
    const [second] = gradients([first.sum()], [logits]) as Tensor[];
    expect(second.abs().sum().item()).toBeGreaterThan(0);
    const bad = randn([2, 5]);
    bad.select(0, 1).fill_(Number.NaN);
    expect(ops.negativeLoss(bad).isfinite().toList()).toEqual([1, 0]);
  });
});
