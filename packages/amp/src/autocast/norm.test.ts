import { manualSeed, memory, nn, ops, randn, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "./autocast.js";

const bf16 = (): Autocast => new Autocast("bf16-mixed");

describe("a layer norm before a product in bfloat16", () => {
  class Pair extends nn.Module {
    norm = new nn.LayerNorm(64);
    layer = new nn.Linear(64, 64);
    override forward(x: Tensor): Tensor {
      return this.layer.call(this.norm.call(x)) as Tensor;
    }
  }

  it("keeps one bfloat16 tensor for both of their backwards", () => {
    const pair = new Pair();
    const x = randn([4096, 64]);
    x.requiresGrad = true;
    const autocast = bf16();
    scope(() => {
      const before = memory().liveBytes;
      const result = autocast.run(() => scope(() => pair.call(x.mul(3)) as Tensor));
      const kept = memory().liveBytes - before - autocast.cachedBytes - result.nbytes;
      expect(kept).toBeLessThan(1.2 * 2 * x.numel);
    });
    autocast.clearCache();
  });

  it("gives the product the float32 result rounded once, and nothing to one that reads it changed", () => {
    const pair = new Pair();
    const x = randn([32, 64]);
    const autocast = bf16();
    autocast.run(() => {
      const normed = pair.norm.call(x) as Tensor;
      const exact = pair.layer.call(normed.clone()) as Tensor;
      expect(ops.equal(pair.layer.call(normed) as Tensor, exact)).toBe(true);
      normed.detach().mul_(0);
      const bias = (pair.layer.bias as Tensor).to("bfloat16").expand([32, 64]);
      expect(ops.equal(pair.layer.call(normed) as Tensor, bias)).toBe(true);
    });
    autocast.clearCache();
  });

  it("passes the gradients of both readers, the product and the residual", () => {
    const gradientOf = (autocast: Autocast): Tensor => {
      manualSeed(4);
      const pair = new Pair();
      const x = randn([32, 64]);
      x.requiresGrad = true;
      const normed = autocast.run(() => {
        const y = pair.norm.call(x) as Tensor;
        return y.add(pair.layer.call(y) as Tensor);
      });
      normed.pow(3).sum().backward();
      return x.grad as Tensor;
    };
    const exact = gradientOf(new Autocast("32-true"));
    const error = gradientOf(bf16()).sub(exact).norm().item() / exact.norm().item();
    expect(error).toBeLessThan(0.02);
  });
});
