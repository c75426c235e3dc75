// Backward of a GPU's tensors runs on a thread of libtorch, that of meta tensors on a thread of ours. Functions of
// JavaScript are called on the thread that made them in both cases.
import { describe, expect, it } from "vitest";
import { checkpoint, gradients, graphNode, memory, ops, randn, scope, type Tensor, zeros } from "./index.js";

const meta = { device: "meta", requiresGrad: true };

describe("backward on a thread of its own", () => {
  it("calls hooks with the gradient, on the thread of the tensor", () => {
    const x = randn([2, 3], meta);
    const seen: string[] = [];
    x.registerHook((gradient) => void seen.push(`${gradient}`));
    scope(() => x.mul(x).sum().backward());
    expect(seen).toEqual(["Tensor(float32[2,3]@meta)"]);
    expect(x.grad?.shape).toEqual([2, 3]);
  });

  it("takes the gradient that a hook returns", () => {
    const x = randn([4], meta);
    const doubled = x.mul(2);
    doubled.registerHook(() => zeros([3], { device: "meta" }));
    expect(() => scope(() => doubled.sum().backward())).toThrow(/size|shape/);
  });

  it("computes a checkpointed block again, inside of a checkpointed block too", () => {
    const [x, w] = [randn([2, 3], meta), randn([3, 3], meta)];
    let runs = 0;
    const inner = ([h]: Tensor[]): Tensor => {
      runs++;
      return ops.gelu((h as Tensor).matmul(w));
    };
    const outer = ([h]: Tensor[]): Tensor => checkpoint(inner, [h as Tensor], [w]).add(1);
    scope(() => checkpoint(outer, [x], [w]).sum().backward());
    expect(runs).toBe(3);
    expect([x.grad?.shape, w.grad?.shape]).toEqual([
      [2, 3],
      [3, 3],
    ]);
  });

  it("records nothing inside a hook, unless the pass makes a graph", () => {
    const recorded = (createGraph: boolean): boolean | undefined => {
      const x = randn([2], meta);
      let result: boolean | undefined;
      x.registerHook((gradient) => {
        result = gradient.mul(x).requiresGrad;
      });
      scope(() => gradients([x.mul(x).sum()], [x], { createGraph }));
      return result;
    };
    expect([recorded(false), recorded(true)]).toEqual([false, true]);
  });

  it("passes an error of a hook on, and the next backward works", () => {
    const x = randn([2], meta);
    const remove = x.registerHook(() => {
      throw new RangeError("from the hook");
    });
    expect(() => scope(() => x.mul(2).sum().backward())).toThrow(new RangeError("from the hook"));
    remove();
    scope(() => x.mul(2).sum().backward());
    expect(x.grad?.shape).toEqual([2]);
  });

  it("passes an error of libtorch on", () => {
    const [joined] = graphNode([randn([2], meta)], [randn([2], { device: "meta" })], () => [zeros([5])]);
    expect(() => joined?.sum().backward()).toThrow(/shape|size|device/i);
  });

  it("leaves no tensor behind", () => {
    const x = randn([2, 3], meta);
    const pass = (): void => {
      const remove = x.registerHook((gradient) => gradient.mul(2));
      scope(() =>
        checkpoint(([h]) => (h as Tensor).exp(), [x], [])
          .sum()
          .backward(),
      );
      remove();
      x.grad = null;
    };
    pass();
    const before = memory().liveTensors;
    for (let i = 0; i < 3; i++) pass();
    expect(memory().liveTensors).toBe(before);
  });
});
