import { intercept, memory, nn, noGrad, ops, optim, rand, randn, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "./autocast.js";

class Block extends nn.Module {
  first = new nn.Linear(8, 16);
  norm = new nn.LayerNorm(16);
  second = new nn.Linear(16, 4);
  override forward(x: Tensor): Tensor {
    return this.second.call(ops.relu(this.norm.call(this.first.call(x)))) as Tensor;
  }
}

describe("weight casts", () => {
  const countCasts = (body: () => void): number => {
    let casts = 0;
    const remove = intercept((call, next) => {
      if (call.op.base === "_to_copy" && call.args[0] instanceof nn.Parameter) casts++;
      return next(call.args);
    });
    body();
    remove();
    return casts;
  };
  const setUp = () => {
    const autocast = new Autocast("bf16-mixed", { masters: false });
    const block = new Block();
    const x = randn([5, 8]).to("bfloat16");
    return { autocast, block, forward: () => scope(() => void autocast.run(() => block.call(x))) };
  };

  it("happen once until the cache is cleared", () => {
    const { autocast, forward } = setUp();
    const weightsAndBiases = 4;
    expect(countCasts(forward)).toBe(weightsAndBiases);
    expect(countCasts(forward)).toBe(0);
    expect(autocast.cachedBytes).toBe((8 * 16 + 16 + 16 * 4 + 4) * 2);
    autocast.clearCache();
    expect(autocast.cachedBytes).toBe(0);
    expect(countCasts(forward)).toBe(weightsAndBiases);
  });

  it("happen again for a weight that changed, cleared or not", () => {
    const { block, forward } = setUp();
    forward();
    noGrad(() => block.first.weight.add_(1));
    expect(countCasts(forward)).toBe(1);
  });

  it("made without autograd are not used with it, the other way round they are", () => {
    const { forward } = setUp();
    noGrad(forward);
    expect(countCasts(forward)).toBe(4);
    expect(countCasts(() => noGrad(forward))).toBe(0);
  });

  it("carry gradients of several backward passes", () => {
    const { autocast, block } = setUp();
    const x = randn([5, 8]);
    const pass = (): void =>
      scope(() =>
        autocast
          .run(() => block.call(x) as Tensor)
          .float()
          .sum()
          .backward(),
      );
    pass();
    const once = (block.first.weight.grad as Tensor).mul(2).toList();
    pass();
    expect((block.first.weight.grad as Tensor).toList()).toEqual(once);
  });

  it("leave nothing behind", () => {
    const { autocast, block, forward } = setUp();
    const optimizer = new optim.AdamW([{ params: block.parameters(), lr: 1e-3, weightDecay: 0 }]);
    const step = (): void => {
      scope(() =>
        autocast
          .run(() => block.call(rand([5, 8])) as Tensor)
          .float()
          .sum()
          .backward(),
      );
      optimizer.step();
      optimizer.zeroGrad();
      autocast.clearCache();
    };
    step();
    const before = memory().liveTensors;
    for (let i = 0; i < 5; i++) step();
    expect(memory().liveTensors).toBe(before);
    forward();
  });
});
