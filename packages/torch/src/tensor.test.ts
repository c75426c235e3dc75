import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import {
  arange,
  enableGrad,
  graphNode,
  keep,
  memory,
  nn,
  noGrad,
  ones,
  ops,
  randn,
  scope,
  type Tensor,
  tensor,
  withDevice,
  zeros,
} from "./index.js";

describe("Tensor", () => {
  it("carries numbers in and out, in every dtype", () => {
    for (const dtype of [
      "float32",
      "float64",
      "float16",
      "bfloat16",
      "int64",
      "int32",
      "int16",
      "int8",
      "uint8",
      "bool",
    ] as const) {
      const values = dtype === "bool" ? [1, 0, 1, 1] : [1, 0, 2, 3];
      expect(
        tensor(
          [
            [values[0], values[1]],
            [values[2], values[3]],
          ],
          { dtype },
        ).toList(),
      ).toEqual([values.slice(0, 2), values.slice(2)]);
    }
  });

  it("is made on the device of the surrounding call, where it names none", () => {
    const before = memory().liveBytes;
    scope(() => {
      const layer = withDevice("meta", () => new nn.Linear(100_000, 100_000));
      expect([layer.weight.device, layer.weight.shape, memory().liveBytes - before]).toEqual([
        "meta",
        [100_000, 100_000],
        0,
      ]);
      expect(withDevice("meta", () => zeros([1], { device: "cpu" })).device).toBe("cpu");
      expect(() =>
        withDevice("meta", () => {
          throw new Error("inside");
        }),
      ).toThrow("inside");
      expect(zeros([1]).device).toBe("cpu");
    });
  });

  it("does arithmetic with tensors and numbers", () => {
    const x = tensor([1, 2, 3]);
    expect(x.add(1).mul(x).toList()).toEqual([2, 6, 12]);
    expect(tensor([1, 2], { dtype: "int64" }).mul(0.5).toList()).toEqual([0.5, 1]);
    expect(x.sum().item()).toBe(6);
    expect(x.view(3, 1).matmul(x.view(1, 3)).shape).toEqual([3, 3]);
  });

  it("gives gradients", () => {
    const x = tensor([1, 2, 3], { requiresGrad: true });
    x.mul(x).sum().backward();
    expect(x.grad?.toList()).toEqual([2, 4, 6]);
  });

  it("picks the overload by what is passed", () => {
    const x = arange(6).view(2, 3);
    expect(x.max().item()).toBe(5);
    expect(x.max(1)[1].toList()).toEqual([2, 2]);
    expect(ops.clamp(x, { min: 1, max: 3 }).toList()).toEqual([
      [1, 1, 2],
      [3, 3, 3],
    ]);
    expect(ops.where(x.gt(2), x, zeros([2, 3])).toList()).toEqual([
      [0, 0, 0],
      [3, 4, 5],
    ]);
    expect(ops.std(tensor([1, 2, 3]), { correction: 0 }).item()).toBeCloseTo(Math.sqrt(2 / 3));
    expect(x.chunk(3, 1).map((part) => part.shape)).toEqual([
      [2, 1],
      [2, 1],
      [2, 1],
    ]);
    expect(x.index([tensor([1, 0], { dtype: "int64" }), null]).toList()).toEqual([
      [3, 4, 5],
      [0, 1, 2],
    ]);
  });

  it("names operator, shapes and libtorch's reason when something is wrong", () => {
    expect(() => zeros([2, 3]).matmul(zeros([2, 3]))).toThrow(/aten::matmul.*float32\[2,3\].*cannot be multiplied/s);
    expect(() => ops.relu(undefined as unknown as Tensor)).toThrow(/Expected Tensor for self but received nothing/);
    const gone = zeros([1]);
    gone.dispose();
    expect(() => gone.add(1)).toThrow(/disposed/);
    for (const ragged of [
      [[1, 2], [3]],
      [[1, 2], [3, 4, 5], [6]],
      [1, [2]],
      [[1], 2],
    ])
      expect(() => tensor(ragged)).toThrow(/rows of different lengths/);
    expect(() => tensor([1, "2" as unknown as number])).toThrow(/received 2 of type string/);
  });
});

describe("scope", () => {
  it("frees what is not returned", () => {
    const before = memory().liveTensors;
    const kept = scope(() => {
      const a = randn([10]);
      const b = a.mul(2);
      return { deep: [b.add(a)] };
    });
    expect(memory().liveTensors).toBe(before + 1);
    expect(kept.deep[0].shape).toEqual([10]);
    kept.deep[0].dispose();
    expect(memory().liveTensors).toBe(before);
  });

  it("frees everything when the body throws", () => {
    const before = memory().liveTensors;
    expect(() =>
      scope(() => {
        randn([3]);
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(memory().liveTensors).toBe(before);
  });

  it("lets a nested result climb to the outer scope only", () => {
    const before = memory().liveTensors;
    scope(() => {
      const inner = scope(() => randn([2]));
      expect(inner.isDisposed).toBe(false);
    });
    expect(memory().liveTensors).toBe(before);
  });

  it("spares what is kept", () => {
    const x = scope(() => {
      keep(randn([2]));
      return keep(zeros([1]));
    });
    expect(x.item()).toBe(0);
    x.dispose();
  });

  it("refuses async bodies", () => {
    const otherRealm = runInNewContext("Promise.resolve(1)");
    for (const promise of [Promise.resolve(1), otherRealm]) expect(() => scope(() => promise)).toThrow(/synchronous/);
    // biome-ignore lint/suspicious/noThenProperty: it has the name alone
    const noPromise = { then: 1 };
    expect(scope(() => noPromise)).toBe(noPromise);
  });
});

describe("hooks", () => {
  const named = (value: unknown): string =>
    `${typeof value === "object" ? Object.prototype.toString.call(value) : value} of type ${typeof value}`;

  it("see and replace gradients, and their errors come through", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const y = x.mul(3);
    const remove = y.registerHook((g) => g.mul(10));
    y.sum().backward();
    expect(x.grad?.toList()).toEqual([30, 30]);
    remove();
    const z = x.mul(1);
    z.registerHook(() => {
      throw new RangeError("from the hook");
    });
    expect(() => z.sum().backward()).toThrow(RangeError);
  });

  it("let through what is thrown and is no error", () => {
    for (const thrown of ["text", 5, null, undefined]) {
      const y = tensor([1], { requiresGrad: true }).mul(1);
      y.registerHook(() => {
        throw thrown;
      });
      let caught: unknown = "nothing";
      try {
        y.sum().backward();
      } catch (error) {
        caught = error;
      }
      expect(caught).toBe(thrown);
    }
  });

  it("that return anything but a tensor or undefined are named", () => {
    const wrong = [5, null, "text", {}, [ones([1])], { handle: 3 }];
    for (const value of wrong) {
      const x = tensor([1], { requiresGrad: true });
      x.registerHook(() => value as unknown as undefined);
      expect(() => x.mul(2).backward()).toThrow(
        new TypeError(`Expected a tensor or undefined from a hook but received ${named(value)}`),
      );
    }
    const x = tensor([1], { requiresGrad: true });
    x.registerHook((async () => {}) as unknown as () => undefined);
    expect(() => x.mul(2).backward()).toThrow("Expected a synchronous function");
  });

  it("of graph nodes that return anything but gradients are named", () => {
    const of = (value: unknown): void => {
      const [y] = graphNode([tensor([1], { requiresGrad: true })], [ones([1])], () => value as null[]);
      (y as Tensor).backward();
    };
    expect(() => of(ones([1]))).toThrow(/^Expected a list of gradients from a graph node but received/);
    for (const value of [5, "text", { handle: 3 }])
      expect(() => of([value])).toThrow(
        new TypeError(`Expected a list of tensors and nulls from a graph node but received ${named(value)}`),
      );
    of([null]);
    of([ones([1])]);
  });

  it("may run further passes, however deeply nested", () => {
    const nested = (depth: number): number => {
      const x = tensor([1], { requiresGrad: true });
      let below = 0;
      const [y] = graphNode([x], [ones([1])], ([gradient]) => {
        if (depth > 0) below = enableGrad(() => nested(depth - 1));
        return [gradient as Tensor];
      });
      (y as Tensor).backward();
      return below + (x.grad?.item() ?? 0);
    };
    for (const depth of [30, 32, 61, 90]) expect(nested(depth)).toBe(depth + 1);
    const failing = (depth: number): void => {
      const x = tensor([1], { requiresGrad: true });
      x.registerHook((): undefined => {
        if (depth === 0) throw new RangeError("from the innermost");
        enableGrad(() => failing(depth - 1));
      });
      x.mul(2).backward();
    };
    expect(() => failing(80)).toThrow(new RangeError("from the innermost"));
    expect(nested(1)).toBe(2);
  });

  it("may run another backward through the node that calls them", () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const losses: Tensor[] = [];
    const [y] = graphNode([x], [x.mul(2)], ([gradient]) => {
      losses.pop()?.backward();
      return [(gradient as Tensor).mul(2)];
    });
    losses.push((y as Tensor).sum(), (y as Tensor).sum());
    losses.pop()?.backward();
    expect(x.grad?.toList()).toEqual([4, 4]);
  });

  it("hooks outlive their tensor, and are silent once removed", () => {
    const x = tensor([2, 3], { requiresGrad: true });
    const y = x.mul(3);
    let calls = 0;
    const remove = y.registerHook(() => void calls++);
    const loss = y.sum();
    y.dispose();
    loss.backward(null, { retainGraph: true });
    expect(calls).toBe(1);
    remove();
    loss.backward();
    expect(calls).toBe(1);
  });

  it("noGrad records nothing", () => {
    const x = tensor([1], { requiresGrad: true });
    expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false);
  });
});
