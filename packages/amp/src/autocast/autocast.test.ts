import {
  intercept,
  isTf32,
  manualSeed,
  memory,
  nn,
  noGrad,
  ops,
  optim,
  rand,
  randn,
  scope,
  type Tensor,
  tensor,
} from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { observe } from "../observe.js";
import { cudaPolicy, defaultPolicy, type Policy, withOperators } from "../policy/policy.js";
import { Autocast, type AutocastOptions, activeAutocast, withoutAutocast } from "./autocast.js";

class Block extends nn.Module {
  first = new nn.Linear(8, 16);
  norm = new nn.LayerNorm(16);
  second = new nn.Linear(16, 4);
  /** dtypes met on the way, by name. */
  seen: Record<string, string> = {};
  override forward(x: Tensor): Tensor {
    const a = this.first.call(x);
    const b = this.norm.call(a);
    const c = this.second.call(ops.relu(b));
    this.seen = { first: a.dtype, norm: b.dtype, second: c.dtype };
    return c;
  }
}

const bf16 = (): Autocast => new Autocast("bf16-mixed");
const dtypeOf = (body: () => Tensor, autocast = bf16()): string => scope(() => autocast.run(body).dtype);

/** What `run` gives by itself, and beside an observer, who takes fused operators apart. */
function aloneAndWatched<T>(run: () => T): [alone: T, watched: T] {
  const alone = run();
  const stop = observe(() => {});
  const watched = run();
  stop();
  return [alone, watched];
}

describe("Autocast", () => {
  it("lowers products, raises what is delicate, leaves the rest", () => {
    const x = randn([2, 3, 8]);
    const half = x.to("bfloat16");
    expect(dtypeOf(() => ops.matmul(x, ops.transpose(x, 1, 2)))).toBe("bfloat16");
    expect(dtypeOf(() => ops.softmax(half, -1))).toBe("float32");
    expect(dtypeOf(() => ops.gelu(half))).toBe("bfloat16");
    expect(dtypeOf(() => ops.gelu(x))).toBe("float32");
    expect(dtypeOf(() => ops.cat([x, half]))).toBe("float32");
    expect(dtypeOf(() => ops.cat([half, half]))).toBe("bfloat16");
    expect(dtypeOf(() => half.add(x))).toBe("float32");
  });

  it("does nothing outside of run() and in 32-true", () => {
    const x = randn([2, 8]);
    expect(ops.matmul(x, x.t()).dtype).toBe("float32");
    expect(dtypeOf(() => ops.matmul(x, x.t()), new Autocast("32-true"))).toBe("float32");
    expect(activeAutocast()).toBeNull();
  });

  it("leaves float64, integers, in-place and explicit conversions alone", () => {
    const x = randn([4, 4]);
    expect(dtypeOf(() => ops.matmul(x.double(), x.double()))).toBe("float64");
    expect(dtypeOf(() => tensor([1, 2], { dtype: "int64" }).add(1))).toBe("int64");
    expect(dtypeOf(() => x.clone().add_(x.to("bfloat16")))).toBe("float32");
    expect(dtypeOf(() => x.to("bfloat16").float())).toBe("float32");
  });

  it("gives every master weight a float32 gradient", () => {
    const block = new Block();
    scope(() => {
      const loss = bf16()
        .run(() => block.call(randn([5, 8])) as Tensor)
        .float()
        .sum();
      loss.backward();
      expect(block.seen).toEqual({ first: "bfloat16", norm: "float32", second: "bfloat16" });
      for (const p of block.parameters()) expect([p.dtype, p.grad?.dtype]).toEqual(["float32", "float32"]);
    });
  });

  it("rounds as converting by hand does, in value and gradient", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 0, max: 1e6 }),
        (rows, columns, seed) => {
          manualSeed(seed);
          scope(() => {
            const x = randn([rows, columns]);
            const layer = new nn.Linear(columns, 3);
            const own = bf16().run(() => layer.call(x) as Tensor);
            own.float().sum().backward();
            const gradient = (layer.weight.grad as Tensor).toList();
            layer.weight.grad = null;
            const byHand = ops.linear(x.to("bfloat16"), layer.weight.to("bfloat16"), {
              bias: (layer.bias as Tensor).to("bfloat16"),
            });
            byHand.float().sum().backward();
            expect(own.toList()).toEqual(byHand.toList());
            expect(gradient).toEqual(((layer.weight as { grad: unknown }).grad as Tensor).toList());
          });
        },
      ),
      { numRuns: 15 },
    );
  });

  it("is off inside withoutAutocast", () => {
    const x = randn([2, 8]);
    expect(dtypeOf(() => withoutAutocast(() => ops.matmul(x, x.t())))).toBe("float32");
    expect(
      dtypeOf(() =>
        ops.matmul(
          withoutAutocast(() => x),
          x.t(),
        ),
      ),
    ).toBe("bfloat16");
  });

  it("comes back on, and off, when something throws", () => {
    const autocast = bf16();
    const x = randn([2, 8]);
    expect(() =>
      autocast.run(() =>
        withoutAutocast(() => {
          throw new Error("inside");
        }),
      ),
    ).toThrow("inside");
    expect(activeAutocast()).toBeNull();
    expect(dtypeOf(() => ops.matmul(x, x.t()), autocast)).toBe("bfloat16");
    expect(ops.matmul(x, x.t()).dtype).toBe("float32");
  });

  it("lets the inner of two decide", () => {
    const x = randn([2, 8]);
    const inner = new Autocast("16-mixed");
    expect(dtypeOf(() => inner.run(() => ops.matmul(x, x.t())))).toBe("float16");
    expect(dtypeOf(() => ops.matmul(inner.run(() => x.t()).t(), x.t()))).toBe("bfloat16");
    expect(dtypeOf(() => new Autocast("32-true").run(() => ops.matmul(x, x.t())))).toBe("float32");
    const same = bf16();
    expect(dtypeOf(() => same.run(() => ops.matmul(x, x.t())), same)).toBe("bfloat16");
  });

  it("shares one cast of a tensor that neighbouring layers read, while it stays as it is", () => {
    const layers = [new nn.Linear(8, 4), new nn.Linear(8, 4)];
    const casts = (read: (layer: nn.Linear, x: Tensor) => void): number => {
      let count = 0;
      const stop = observe(({ by, args }) => {
        if (by === "cast" && !(args[0] instanceof nn.Parameter)) count++;
      });
      scope(() => {
        const x = randn([2, 8]);
        bf16().run(() => layers.forEach((layer) => read(layer, x)));
      });
      stop();
      return count;
    };
    expect(casts((layer, x) => void layer.call(x))).toBe(1);
    expect(
      casts((layer, x) => {
        layer.call(x);
        x.add_(1);
      }),
    ).toBe(2);
    expect(casts((layer, x) => void layer.call(x.clone()))).toBe(2);
  });

  it("shares no cast between a forward that autograd records and one that it does not", () => {
    const layer = new nn.Linear(8, 4);
    scope(() => {
      const x = randn([2, 8]);
      x.requiresGrad = true;
      bf16().run(() => {
        noGrad(() => layer.call(x));
        (layer.call(x) as Tensor).float().sum().backward();
      });
      expect(x.grad?.dtype).toBe("float32");
    });
  });
});

describe("the shared cast", () => {
  it("is made again for a tensor that came to require a gradient", () => {
    const layers = [new nn.Linear(8, 4), new nn.Linear(8, 4)];
    scope(() => {
      const x = randn([2, 8]);
      bf16().run(() => {
        layers[0].call(x);
        x.requiresGrad = true;
        (layers[1].call(x) as Tensor).float().sum().backward();
      });
      expect(x.grad?.dtype).toBe("float32");
    });
  });
});

describe("watching", () => {
  it("does not change what a perceptron of another dtype than its input does", () => {
    class Head extends nn.Module {
      layers = [new nn.Linear(4, 3), new nn.Linear(3, 2)];
      override forward(x: Tensor): Tensor {
        return nn.mlp(this.layers, x, "relu");
      }
    }
    const head = new Head().to("bfloat16");
    const x = randn([2, 4]);
    const run = (): number[] =>
      scope(() => [...((head.call(x) as Tensor).float().flatten().toArray() as Float32Array)]);
    const [alone, watched] = aloneAndWatched(run);
    expect(watched).toEqual(alone);
  });
});

describe("policies and overrides", () => {
  it("pytorch-cuda keeps what PyTorch's lists do not name, where the default raises it", () => {
    const x = randn([5, 8]).to("bfloat16");
    const dtypes = (policy: Policy): string[] =>
      scope(() =>
        new Autocast("bf16-mixed", { policy }).run(() =>
          [ops.topk(x, 2)[0], ops.logSigmoid(x), ops.softmax(x, -1)].map(({ dtype }) => dtype),
        ),
      );
    expect(dtypes(cudaPolicy)).toEqual(["bfloat16", "bfloat16", "float32"]);
    expect(dtypes(defaultPolicy)).toEqual(["float32", "float32", "float32"]);
  });

  it("an operator can be changed", () => {
    const block = new Block();
    scope(() =>
      new Autocast("bf16-mixed", { policy: withOperators(defaultPolicy, { layer_norm: "keep" }) }).run(() =>
        block.call(randn([5, 8])),
      ),
    );
    expect(block.seen.norm).toBe("bfloat16");
  });

  class Tree extends nn.Module {
    blocks = [new Block(), new Block()];
    override forward(x: Tensor): Tensor[] {
      return this.blocks.map((b) => b.call(x) as Tensor);
    }
  }
  it.each([
    [{ "blocks.0": "fp32" }, ["float32", "bfloat16"]],
    [{ "blocks.*": "fp32" }, ["float32", "float32"]],
    [{ "**.second": "fp32" }, ["float32", "float32"]],
    [{ "blocks.*": "fp32", "blocks.1.second": "policy" }, ["float32", "bfloat16"]],
    [{ "blocks.1": "bf16" }, ["bfloat16", "bfloat16"]],
  ] as const)("%j gives %j", (overrides, dtypes) => {
    const tree = new Tree();
    scope(() =>
      expect(
        new Autocast("bf16-mixed", { overrides }).run(() => tree.call(randn([5, 8])) as Tensor[]).map((t) => t.dtype),
      ).toEqual(dtypes),
    );
  });

  it("a module of a float16 model can run in bfloat16", () => {
    const tree = new Tree();
    scope(() =>
      expect(
        new Autocast("16-mixed", { overrides: { "blocks.1": "bf16" } })
          .run(() => tree.call(randn([5, 8])) as Tensor[])
          .map((t) => t.dtype),
      ).toEqual(["float16", "bfloat16"]),
    );
  });
});

describe("layers that may run as one operator", () => {
  class Perceptron extends nn.Module {
    first = new nn.Linear(8, 16);
    second = new nn.Linear(16, 4);
    override forward(x: Tensor): Tensor {
      return nn.mlp([this.first, this.second], x, "gelu");
    }
  }
  const operators = new Set(["mlp", "linear", "gelu"]);

  /** The operators that were called, each with its module. */
  const passed = (options: AutocastOptions = {}, around: (body: () => void) => void = (body) => body()): string[] => {
    const seen: string[] = [];
    const block = new Perceptron();
    block.name("block");
    const x = randn([2, 8]);
    const forward = (): void => void scope(() => block.call(x));
    new Autocast("bf16-mixed", { masters: true, ...options }).run(() => {
      // Installed last, so it stands innermost and sees what autocast lets through.
      const remove = intercept((call, next) => {
        if (operators.has(call.op.base)) seen.push(`${call.op.base} in ${call.module?.path}`);
        return next(call.args);
      });
      around(forward);
      remove();
    });
    return seen;
  };
  const one = ["mlp in block"];
  const apart = ["linear in block.first", "gelu in block", "linear in block.second"];

  it("do so where each would multiply its float32 weights in bfloat16", () => expect(passed()).toEqual(one));

  it.each([
    ["products take copies of the weights", { masters: false }],
    ["the activation is raised", { policy: withOperators(defaultPolicy, { gelu: "fp32" }) }],
    ["layers are not lowered", { policy: withOperators(defaultPolicy, { linear: "fp32" }) }],
    ["one layer is an exception", { overrides: { "block.second": "fp32" } }],
  ] as const)("run one by one where %s", (_, options) => expect(passed(options)).toEqual(apart));

  it.each(
    (["bf16-mixed", "32-true"] as const).filter((precision) =>
      ops.linearHasKernels(precision === "32-true" ? "float32" : "bfloat16"),
    ),
  )("read weights that were packed once where %s predicts, with the same bits", (precision) => {
    const block = new Perceptron().eval();
    const x = randn([20, 8]);
    const autocast = new Autocast(precision);
    const output = (): number[] =>
      scope(
        () =>
          autocast
            .run(() => block.call(x) as Tensor)
            .float()
            .flatten()
            .toList() as number[],
      );
    const recorded = output();
    autocast.clearCache();
    const packs = (body: () => void): string[] => {
      const seen: string[] = [];
      const remove = intercept((call, next) => {
        if (call.op.base.includes("pack")) seen.push(call.op.base);
        return next(call.args);
      });
      body();
      remove();
      return seen;
    };
    noGrad(() => {
      expect(packs(() => expect(output()).toEqual(recorded))).toEqual(["pack_linear", "pack_linear", "mlp_packed"]);
      expect(packs(() => expect(output()).toEqual(recorded))).toEqual(["mlp_packed"]);
      ops.mul_(block.first.weight, 2);
      expect(packs(() => expect(output()).not.toEqual(recorded))).toEqual(["pack_linear", "mlp_packed"]);
    });
    expect(autocast.cachedBytes).toBeGreaterThan(0);
    autocast.clearCache();
    block.train();
    noGrad(() => expect(packs(() => void output())).toEqual([]));
    expect(autocast.cachedBytes).toBe(0);
  });

  it("run one by one while somebody watches, with the same bits", () => {
    const block = new Perceptron();
    block.name("block");
    const x = randn([3, 8]);
    const autocast = new Autocast("bf16-mixed");
    const run = (): { output: number[]; gradient: number[] } =>
      scope(() => {
        const y = autocast.run(() => block.call(x) as Tensor).float();
        y.pow(2).sum().backward();
        const { weight } = block.first;
        const gradient = [...((weight.grad as Tensor).flatten().toArray() as Float32Array)];
        weight.grad = null;
        return { output: [...(y.flatten().toArray() as Float32Array)], gradient };
      });
    const [alone, watched] = aloneAndWatched(run);
    expect(watched).toEqual(alone);
  });
});

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

describe("16-mixed without float16 matrix units", () => {
  const emulated = new Autocast("16-mixed", { emulateFloat16: true });

  it("rounds operands, sums in float32 and rounds the result", () => {
    scope(() => {
      const a = tensor([[2048, 1, 1]]);
      const b = tensor([[1], [0.50001], [0.5]]);
      // The exact sum 2049.00001 rounds to 2048 in float16. A sum in float16 would give 2048 too, but 0.50001 is
      // rounded to 0.5 first.
      expect(emulated.run(() => ops.matmul(a, b)).toList()).toEqual([[2048]]);
      const ones = tensor(new Float32Array(4096).fill(1), { shape: [1, 4096] });
      // A float16 accumulator would stop at 2048.
      expect(emulated.run(() => ops.matmul(ones, ones.t())).toList()).toEqual([[4096]]);
    });
  });

  it("overflows where float16 does, forward and backward", () => {
    scope(() => {
      const a = tensor([[300]]);
      expect(emulated.run(() => ops.matmul(a, a)).item()).toBe(Number.POSITIVE_INFINITY);
      const layer = new nn.Linear(1, 1, { bias: false });
      const out = emulated.run(() => layer.call(a) as Tensor);
      expect(out.dtype).toBe("float16");
      out.float().mul(65536).sum().backward();
      expect((layer.weight.grad as Tensor).item()).toBe(Number.POSITIVE_INFINITY);
    });
  });

  it("gives gradients rounded to float16", () => {
    scope(() => {
      const layer = new nn.Linear(7, 5);
      emulated.clearCache();
      emulated
        .run(() => layer.call(randn([3, 7])) as Tensor)
        .float()
        .pow(2)
        .sum()
        .backward();
      const gradient = layer.weight.grad as Tensor;
      expect(gradient.dtype).toBe("float32");
      expect(gradient.toList()).toEqual(gradient.to("float16").float().toList());
    });
  });

  it("agrees with libtorch's own float16 product to one rounding", () => {
    scope(() => {
      const [a, b] = [randn([16, 32]), randn([32, 8])];
      const own = emulated.run(() => ops.matmul(a, b));
      const native = ops.matmul(a.to("float16"), b.to("float16"));
      // Both round operands to float16 and sum in float32, in another order. One unit of float16 is 2⁻¹⁰ relative, and
      // values reach about 20.
      expect(own.float().sub(native.float()).abs().max().item()).toBeLessThan(20 * 2 ** -10);
    });
  });
});

describe("on a GPU", () => {
  it("float32 products use TF32 in tf32 only, backward included", () => {
    new Autocast("tf32").run(() => expect(isTf32()).toBe(true));
    expect(isTf32()).toBe(true);
    new Autocast("32-true").run(() => undefined);
    expect(isTf32()).toBe(false);
  });

  it("float16 is not emulated, whatever units the CPU has", () => {
    const by: string[] = [];
    const stop = observe((event) => void by.push(event.by));
    const autocast = new Autocast("16-mixed", { emulateFloat16: true });
    const multiply = (device: string): string =>
      scope(() => autocast.run(() => `${ops.matmul(randn([2, 3], { device }), randn([3, 2], { device }))}`));
    expect(multiply("meta")).toBe("Tensor(float16[2,2]@meta)");
    expect(by).not.toContain("emulated");
    multiply("cpu");
    expect(by).toContain("emulated");
    stop();
  });
});

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
