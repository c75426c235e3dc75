import { isTf32, manualSeed, nn, ops, randn, scope, type Tensor, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { observe } from "../observe.js";
import { cudaPolicy, defaultPolicy, type Policy, withOperators } from "../policy/policy.js";
import { Autocast, activeAutocast, withoutAutocast } from "./autocast.js";

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
