import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkpoint,
  dispatch,
  intercept,
  manualSeed,
  nn,
  type Operator,
  operator,
  ops,
  randn,
  type Tensor,
  tensor,
  zeros,
} from "./index.js";

describe("dispatch", () => {
  it("calls any operator by schema", () => {
    const [values, indices] = dispatch(operator("aten::topk"), [tensor([1, 5, 3]), 2]) as Tensor[];
    expect(values.toList()).toEqual([5, 3]);
    expect(indices.toList()).toEqual([1, 2]);
    expect(dispatch(operator("aten::is_floating_point"), [zeros([1])])).toBe(true);
    const out = zeros([2]);
    dispatch(operator("aten::add", "out"), [tensor([1, 2]), tensor([3, 4]), 1, out]);
    expect(out.toList()).toEqual([4, 6]);
    expect(() => dispatch(operator("aten::no_such_thing"), [])).toThrow(
      /Expected an operator of libtorch .* but received aten::no_such_thing/,
    );
  });

  it("lets interceptors see and change calls, first installed outermost", () => {
    const seen: string[] = [];
    const outer = intercept((call, next) => {
      seen.push(`outer ${call.op.base}`);
      return next(call.args);
    });
    const inner = intercept((call, next) => {
      seen.push(`inner ${call.op.base}`);
      return next(call.op.base === "add" ? [call.args[0], call.args[0]] : call.args);
    });
    const x = tensor([1, 2]);
    const y = x.add(tensor([100, 100]));
    inner();
    outer();
    expect(seen).toEqual(["outer add", "inner add"]);
    expect(y.toList()).toEqual([2, 4]);
    x.add(1);
    expect(seen.length).toBe(2);
  });

  it("tells interceptors the module", () => {
    const paths: [string, string][] = [];
    const remove = intercept((call, next) => {
      if (call.op.base === "linear") paths.push([call.op.toString(), nn.currentPath()]);
      return next(call.args);
    });
    new nn.Sequential([new nn.Linear(2, 2), new nn.Linear(2, 2)]).call(zeros([1, 2]));
    remove();
    expect(paths).toEqual([
      ["aten::linear", "0"],
      ["aten::linear", "1"],
    ]);
  });

  it("survives any nonsense: an error, never the end of the process", () => {
    const names = [
      "add.Tensor",
      "conv2d.",
      "layer_norm.",
      "linear.",
      "topk.",
      "index.Tensor",
      "cat.",
      "view.",
      "gather.",
      "grid_sampler_2d.",
      "scaled_dot_product_attention.",
      "slice.Tensor",
      "arange.start_step",
      "_to_copy.",
      "split.Tensor",
      "embedding.",
      "matmul.",
      "bernoulli_.float",
      "upsample_bilinear2d.",
      "_foreach_add_.List",
    ];
    const value = fc.oneof(
      fc.constantFrom(undefined, null, true, "", "float32", "nonsense", Number.NaN, -1, 0, 1, 2.5, 2 ** 40),
      fc.constantFrom("T0", "T1", "T2"),
      fc.array(fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constantFrom(null, "T0", "T1", "x")), { maxLength: 4 }),
      fc.object({ maxDepth: 1 }),
    );
    const tensors: Record<string, Tensor> = {
      T0: zeros([2, 3]),
      T1: tensor([0, 1], { dtype: "int64" }),
      T2: zeros([0]),
    };
    const swap = (v: unknown): unknown =>
      typeof v === "string" && v in tensors ? tensors[v] : Array.isArray(v) ? v.map(swap) : v;
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(value, { maxLength: 7 }), (name, args) => {
        const [base, overload] = name.split(".");
        try {
          dispatch(operator(`aten::${base}`, overload), args.map(swap));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("checkpoint", () => {
  it("gives the same gradients without keeping intermediates", () => {
    manualSeed(0);
    const layer = new nn.Linear(4, 4);
    const x = randn([3, 4], { requiresGrad: true });
    const body = ([input]: Tensor[]): Tensor => ops.tanh(layer.call(input));
    const run = (forward: () => Tensor): unknown[] => {
      x.grad = null;
      layer.weight.grad = null;
      forward().pow(2).sum().backward();
      return [x.grad as unknown as Tensor, layer.weight.grad as unknown as Tensor].map((g) => g.toList());
    };
    expect(run(() => checkpoint(body, [x], layer.parameters()))).toEqual(run(() => body([x])));
  });

  it("computes again as a part of the same module, whose rules of precision then hold", () => {
    const paths: string[] = [];
    class Block extends nn.Module {
      inner = new nn.Linear(4, 4);
      override forward(x: Tensor): Tensor {
        const body = ([input]: Tensor[]): Tensor => {
          paths.push(nn.currentPath());
          return this.inner.call(input);
        };
        return checkpoint(body, [x], this.inner.parameters());
      }
    }
    class Model extends nn.Module {
      block = new Block();
      override forward(x: Tensor): Tensor {
        return this.block.call(x);
      }
    }
    new Model()
      .call(randn([3, 4]))
      .sum()
      .backward();
    expect(paths).toEqual(["block", "block"]);
    expect(nn.currentPath()).toBe("");
  });
});

describe("worker threads", () => {
  const built = new URL("../dist/index.js", import.meta.url);
  it.skipIf(!existsSync(built))("train in a worker while the main thread ticks", async () => {
    const worker = new Worker(
      `const { parentPort } = require("node:worker_threads");
       import(${JSON.stringify(built.href)}).then(({ nn, optim, randn, scope, manualSeed }) => {
         manualSeed(0);
         const layer = new nn.Linear(64, 64);
         const optimizer = new optim.AdamW([{ params: layer.parameters(), lr: 1e-2, weightDecay: 0 }]);
         const losses = [];
         for (let i = 0; i < 200; i++) losses.push(scope(() => {
           optimizer.zeroGrad();
           const loss = layer.call(randn([64, 64])).pow(2).mean();
           loss.backward();
           optimizer.step();
           return loss.item();
         }));
         parentPort.postMessage([losses[0], losses.at(-1)]);
       });`,
      { eval: true },
    );
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const [first, last] = await new Promise<number[]>((resolve, reject) =>
      worker.once("message", resolve).once("error", reject),
    );
    clearInterval(timer);
    await worker.terminate();
    expect(last).toBeLessThan(first);
    expect(ticks).toBeGreaterThan(0);
  });
});

describe("typed operators", () => {
  it("know every operator by its base name", () => {
    const op: Operator = operator("aten::add_", "Tensor");
    expect([op.base, op.inPlace, op.arguments.map((a) => a.name)]).toEqual(["add_", true, ["self", "other", "alpha"]]);
  });
});
