import { intercept, nn, noGrad, ops, randn, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { observe } from "../observe.js";
import { defaultPolicy, withOperators } from "../policy/policy.js";
import { Autocast, type AutocastOptions } from "./autocast.js";

/** What `run` gives by itself, and beside an observer, who takes fused operators apart. */
function aloneAndWatched<T>(run: () => T): [alone: T, watched: T] {
  const alone = run();
  const stop = observe(() => {});
  const watched = run();
  stop();
  return [alone, watched];
}

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
