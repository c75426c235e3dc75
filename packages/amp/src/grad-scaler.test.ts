import { full, nn, ops, optim, scope, type Tensor, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GradScalerError } from "./errors.js";
import { GradScaler } from "./grad-scaler.js";

const weight = (): Tensor => nn.parameter(tensor([1, 2, 3]));
const optimizerOf = (...params: Tensor[]) => new optim.AdamW([{ params, lr: 0.1, weightDecay: 0 }]);
/** Backward of a loss whose gradient is `factor` times the scale. */
const backward = (scaler: GradScaler, p: Tensor, factor = 1): void =>
  scope(() => scaler.scale(p.sum().mul(factor)).backward());

describe("GradScaler", () => {
  it("has PyTorch's defaults", () => {
    expect(new GradScaler().stateDict()).toEqual({
      scale: 65536,
      growth: 2,
      backoff: 0.5,
      interval: 2000,
      goodSteps: 0,
    });
  });

  it("scales the loss and unscales the gradients", () => {
    const p = weight();
    const scaler = new GradScaler({ init: 1024 });
    backward(scaler, p, 3);
    expect(p.grad?.toList()).toEqual([3072, 3072, 3072]);
    scaler.unscale([p]);
    expect(p.grad?.toList()).toEqual([3, 3, 3]);
    expect(scaler.foundInf).toBe(false);
  });

  it("steps on finite gradients, skips and backs off on others", () => {
    const p = weight();
    const optimizer = optimizerOf(p);
    const scaler = new GradScaler();
    backward(scaler, p, Number.POSITIVE_INFINITY);
    expect(scaler.step(optimizer)).toBe(false);
    expect(scaler.foundInf).toBe(true);
    scaler.update();
    expect([scaler.currentScale, p.toList(), optimizer.steps]).toEqual([32768, [1, 2, 3], 0]);
    optimizer.zeroGrad();
    backward(scaler, p);
    expect(scaler.step(optimizer)).toBe(true);
    scaler.update();
    expect([scaler.currentScale, optimizer.steps]).toEqual([32768, 1]);
    expect(p.toList()).not.toEqual([1, 2, 3]);
  });

  it("sees a NaN in any gradient", () => {
    const [a, b] = [weight(), weight()];
    const scaler = new GradScaler();
    backward(scaler, a);
    b.grad = tensor([0, Number.NaN, 0]);
    scaler.unscale([a, b]);
    expect(scaler.foundInf).toBe(true);
  });

  it("takes gradients of several dtypes", () => {
    const [a, b] = [weight(), nn.parameter(tensor([1], { dtype: "float64" }))];
    const scaler = new GradScaler({ init: 4 });
    a.grad = full([3], 4);
    b.grad = tensor([8], { dtype: "float64" });
    scaler.unscale([a, b]);
    expect([a.grad?.toList(), b.grad?.toList()]).toEqual([[1, 1, 1], [2]]);
  });

  it("the scale of any run of good and bad steps is that of the rule", () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom(2, 1.5, 4),
        fc.constantFrom(0.5, 0.25),
        (steps, interval, growth, backoff) => {
          const p = weight();
          const scaler = new GradScaler({ init: 256, interval, growth, backoff, warn: () => {} });
          let [scale, good] = [256, 0];
          for (const finite of steps) {
            p.grad = tensor([1, 1, finite ? 1 : Number.POSITIVE_INFINITY]);
            scaler.unscale([p]);
            scaler.step({ parameters: [p], step() {} });
            scaler.update();
            if (!finite) [scale, good] = [Math.fround(scale * backoff), 0];
            else if (++good === interval)
              [scale, good] = [
                Math.fround(scale * growth) === Number.POSITIVE_INFINITY ? scale : Math.fround(scale * growth),
                0,
              ];
            expect([scaler.currentScale, scaler.stateDict().goodSteps]).toEqual([scale, good]);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it("does not grow out of float32", () => {
    const p = weight();
    const scaler = new GradScaler({ init: 2 ** 127, interval: 1 });
    p.grad = tensor([1, 1, 1]);
    scaler.step({ parameters: [p], step() {} });
    scaler.update();
    expect(scaler.currentScale).toBe(2 ** 127);
  });

  it("warns once when the scale falls below 1", () => {
    const warnings: string[] = [];
    const scaler = new GradScaler({ init: 1, warn: (message) => warnings.push(message) });
    for (let i = 0; i < 3; i++) {
      scaler.reject();
      scaler.update();
    }
    expect(scaler.currentScale).toBe(0.125);
    expect(scaler.belowOne).toBe(true);
    expect(warnings).toEqual([expect.stringMatching(/The loss scale fell to 0.5/)]);
  });

  it("keeps a scale that float32 has a reciprocal of, so that finite gradients count again", () => {
    const p = weight();
    const scaler = new GradScaler({ init: 2 ** -125, warn: () => {} });
    for (let i = 0; i < 30; i++) {
      scaler.reject();
      scaler.update();
    }
    expect(scaler.currentScale).toBe(2 ** -126);
    scaler.loadStateDict({ ...scaler.stateDict(), scale: 0 });
    backward(scaler, p);
    scaler.unscale([p]);
    expect([scaler.foundInf, p.grad?.toList()]).toEqual([false, [1, 1, 1]]);
  });

  it("continues from its state", () => {
    const scaler = new GradScaler({ interval: 3 });
    scaler.loadStateDict({ scale: 128, growth: 2, backoff: 0.5, interval: 2000, goodSteps: 2 });
    const p = weight();
    p.grad = tensor([1, 1, 1]);
    scaler.step({ parameters: [p], step() {} });
    scaler.update();
    expect(scaler.stateDict()).toEqual({ scale: 256, growth: 2, backoff: 0.5, interval: 3, goodSteps: 0 });
  });

  it("switched off, changes nothing", () => {
    const p = weight();
    const optimizer = optimizerOf(p);
    const scaler = new GradScaler({ enabled: false });
    backward(scaler, p);
    expect(p.grad?.toList()).toEqual([1, 1, 1]);
    scaler.unscale([p]);
    expect(scaler.step(optimizer)).toBe(true);
    scaler.update();
    expect(scaler.currentScale).toBe(1);
  });
});

describe("misuse is an error", () => {
  const ready = () => {
    const p = weight();
    const scaler = new GradScaler();
    backward(scaler, p);
    return { p, scaler, optimizer: optimizerOf(p) };
  };
  it("unscaling twice, or after the step", () => {
    const { p, scaler, optimizer } = ready();
    scaler.unscale([p]);
    expect(() => scaler.unscale([p])).toThrow(GradScalerError);
    scaler.step(optimizer);
    expect(() => scaler.unscale([p])).toThrow(/unscale\(\) before step\(\)/);
  });
  it("stepping twice", () => {
    const { scaler, optimizer } = ready();
    scaler.step(optimizer);
    expect(() => scaler.step(optimizer)).toThrow(/step\(\) once/);
  });
  it("updating before anything was looked at", () => {
    expect(() => new GradScaler().update()).toThrow(GradScalerError);
  });
  it("no gradients", () => {
    expect(() => new GradScaler().unscale([weight()])).toThrow(/no parameter has one/);
  });
  it("float16 gradients", () => {
    const p = nn.parameter(ops._toCopy(tensor([1]), { dtype: "float16" }));
    p.grad = ops._toCopy(tensor([1]), { dtype: "float16" });
    expect(() => new GradScaler().unscale([p])).toThrow(/Expected float32 gradients/);
  });
  it.each([
    { init: 0 },
    { init: 1e39 },
    { init: Number.NaN },
    { init: Number.POSITIVE_INFINITY },
    { init: -1 },
    { init: 1e-45 },
    { growth: Number.POSITIVE_INFINITY },
    { growth: 1 + 1e-12 },
    { backoff: 1 - 1e-12 },
    { growth: 1 },
    { backoff: 1 },
    { backoff: 0 },
    { interval: 0 },
    { interval: 1.5 },
  ])("%j", (options) => {
    expect(() => new GradScaler(options)).toThrow(/Expected .* for scaler\./);
  });
});
