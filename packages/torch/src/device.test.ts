import { describe, expect, it } from "vitest";
import {
  type DType,
  deviceMemory,
  getRngState,
  isTf32,
  memory,
  ops,
  rand,
  setRngState,
  setTf32,
  type Tensor,
  zeros,
} from "./index.js";

describe("devices", () => {
  it("counts the memory of the CPU where no GPU is named", () => {
    expect(memory("meta")).toEqual(memory());
    const before = memory().liveBytes;
    const held = zeros([1000]);
    expect(memory("cpu").liveBytes - before).toBe(4000);
    held.dispose();
  });

  it("tells the memory of GPUs only", () => {
    expect(() => deviceMemory("cpu")).toThrow("Expected a GPU for device but received cpu");
  });

  it("puts random generators back, and refuses a state that is too short", () => {
    const state = getRngState("meta"); // computing on it draws from the CPU's generator
    const first = rand([3]).toList();
    setRngState(state, "meta");
    expect(rand([3]).toList()).toEqual(first);
    expect(() => setRngState(zeros([3], { dtype: "uint8" }))).toThrow(/random state of this device .* 3 bytes/);
  });

  it("switches TF32 for products and convolutions together", () => {
    setTf32(true);
    expect(isTf32()).toBe(true);
    setTf32(false);
    expect(isTf32()).toBe(false);
  });
});

describe("fused operators on a device that they have no kernel for", () => {
  const at = (shape: number[], dtype: DType = "float32"): Tensor =>
    zeros(shape, { dtype, device: "meta", requiresGrad: true });
  const cases: Record<string, (dtype: DType) => Tensor> = {
    attention: (dtype) =>
      ops.attention(at([2, 5, 3, 32], dtype), at([2, 7, 3, 32], dtype), at([2, 7, 3, 32], dtype), 0.2),
    gelu: (dtype) => ops.gelu(at([2, 6], dtype)),
    linear: (dtype) => ops.linear(at([2, 6], dtype), at([4, 6], dtype), { bias: at([4], dtype) }),
    mlp: (dtype) => ops.mlp(at([2, 6], dtype), [at([8, 6]), at([4, 8])], [at([8]), at([4])], "gelu"),
    grouped_linear: (dtype) =>
      ops.groupedLinear(
        at([1, 5, 6], dtype),
        [at([4, 6], dtype), at([4, 6], dtype)],
        [at([4], dtype), at([4], dtype)],
        true,
      ),
    deformable_attention: (dtype) =>
      ops.deformableAttention(
        at([1, 12, 2, 8], dtype),
        [3, 4],
        at([1, 5, 4]),
        at([1, 5, 2, 1, 3, 2], dtype),
        at([1, 5, 2, 3], dtype),
      ),
    negative_loss: (dtype) => ops.negativeLoss(at([2, 3, 4], dtype)),
  };
  const shapes: Record<string, number[]> = {
    attention: [2, 5, 3, 32],
    gelu: [2, 6],
    linear: [2, 4],
    mlp: [2, 4],
    grouped_linear: [2, 5, 4],
    deformable_attention: [1, 5, 16],
    negative_loss: [2],
  };

  for (const dtype of ["float32", "bfloat16", "float16"] as const)
    it.each(Object.keys(cases))(`%s is composed in ${dtype}, forward and backward`, (name) => {
      const result = cases[name]?.(dtype) as Tensor;
      expect(`${result}`).toBe(`Tensor(${dtype}[${shapes[name]}]@meta)`);
      result.sum().backward();
    });
});
