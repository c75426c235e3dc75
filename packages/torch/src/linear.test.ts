import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type DType,
  getNumThreads,
  gradients,
  manualSeed,
  ops,
  randn,
  scope,
  setNumThreads,
  type Tensor,
} from "./index.js";

/** Value and gradients of y = x·Wᵀ + b. */
function run(
  linear: (x: Tensor, weight: Tensor, bias: Tensor) => Tensor,
  inputs: readonly Tensor[],
  gradient: Tensor,
): Tensor[] {
  const leaves = inputs.map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const out = linear(leaves[0], leaves[1], leaves[2]);
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient] }) as Tensor[])];
}

/** Whether the product of a bfloat16 input takes float32 weights of this width: pairs need an even one. */
const takesMasters = (width: number): boolean => {
  if (!ops.linearHasKernels("bfloat16")) return false;
  try {
    ops.packLinear(ops.zeros([1, width]), "bfloat16").dispose();
    return true;
  } catch {
    return false;
  }
};

const viaLinear = (x: Tensor, weight: Tensor, bias: Tensor): Tensor => ops.linear(x, weight, { bias });
const viaAddmm = (x: Tensor, weight: Tensor, bias: Tensor): Tensor => {
  const flat = ops.addmm(bias, x.reshape([-1, weight.shape[1]]), weight.t());
  return flat.view(...x.shape.slice(0, -1), weight.shape[0]);
};

describe("linear", () => {
  it("has the values and the gradients of the matrix product it is, over sizes, strides and dtypes", () => {
    fc.assert(
      fc.property(
        fc.record({
          lead: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
          input: fc.integer({ min: 1, max: 140 }),
          output: fc.integer({ min: 1, max: 600 }),
          dtype: fc.constantFrom<DType>("float32", "bfloat16", "float64"),
          sliced: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ lead, input, output, dtype, sliced, seed }) =>
          scope(() => {
            manualSeed(seed);
            const whole = randn([...lead, sliced ? 2 * input : input]).to(dtype);
            const inputs = [
              sliced ? whole.narrow(-1, input, input) : whole,
              randn([output, input]).to(dtype),
              randn([output]).to(dtype),
            ];
            const gradient = randn([...lead, output]).to(dtype);
            const [ours, twin] = [viaLinear, viaAddmm].map((linear) => run(linear, inputs, gradient));
            ours.forEach((value, i) => {
              expect(value.shape).toEqual(twin[i].shape);
              const error =
                value.double().sub(twin[i].double()).norm().item() / Math.max(twin[i].double().norm().item(), 1e-3);
              // Sums in another order; in bfloat16 each side rounds its result by up to 2⁻⁸.
              expect(error).toBeLessThan(dtype === "bfloat16" ? 2 ** -7 : 2e-6);
            });
          }),
      ),
      { numRuns: 60 },
    );
  });

  // The product rounds the weights; what it gives for them is not rounded again. On a CPU without such products it is
  // composed, to the same values.
  it("takes float32 weights beside a bfloat16 input, and gives their gradients in float32", () => {
    fc.assert(
      fc.property(
        fc.record({
          rows: fc.integer({ min: 1, max: 1200 }),
          input: fc.integer({ min: 1, max: 200 }),
          output: fc.integer({ min: 1, max: 200 }),
          magnitude: fc.constantFrom(1e-6, 1, 1e6),
          sliced: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ rows, input, output, magnitude, sliced, seed }) =>
          scope(() => {
            manualSeed(seed);
            const whole = randn([rows, sliced ? input + 3 : input])
              .mul(magnitude)
              .to("bfloat16");
            const x = sliced ? whole.narrow(-1, 3, input) : whole;
            const [weight, bias] = [randn([output, input]), randn([output]).mul(magnitude)];
            const gradient = randn([rows, output]).to("bfloat16");
            const ours = run(viaLinear, [x, weight, bias], gradient);
            const rounded = [x, weight.to("bfloat16"), bias].map((t) => t.double());
            const judge = run(viaAddmm, rounded, gradient.double());
            expect(ours.map((t) => t.dtype)).toEqual(["bfloat16", "bfloat16", "float32", "float32"]);
            const kernel = rows >= 16 && takesMasters(input);
            ours.forEach((value, i) => {
              expect(value.shape).toEqual(judge[i].shape);
              const error = value.double().sub(judge[i]).norm().item() / Math.max(judge[i].norm().item(), 1e-30);
              expect(error).toBeLessThan(kernel && i >= 2 ? 3e-6 : 2 ** -7);
            });
          }),
      ),
      { numRuns: 60 },
    );
  });

  it.each(["float32", "bfloat16"] as const)("gives the same bits of %s on one thread as on several", (dtype) => {
    const threads = getNumThreads();
    const inputs = [randn([700, 130]).to(dtype), randn([90, 130]), randn([90])];
    const gradient = randn([700, 90]).to(dtype);
    const bits = [1, 2, 3].map((count) => {
      setNumThreads(count);
      return run(viaLinear, inputs, gradient).map((t) => t.float().toList());
    });
    setNumThreads(threads);
    expect(bits[1]).toEqual(bits[0]);
    expect(bits[2]).toEqual(bits[0]);
  });

  it.each((["float32", "bfloat16"] as const).filter((dtype) => ops.linearHasKernels(dtype)))(
    "serves many products of a %s input with a weight that was packed once",
    (dtype) => {
      scope(() => {
        const [x, weight, bias] = [randn([2, 40, 64]).to(dtype), randn([91, 64]), randn([91])];
        const packed = ops.packLinear(weight, dtype);
        expect(ops.linearPacked(x, packed, bias, 91).toList()).toEqual(ops.linear(x, weight, { bias }).toList());
        expect(() => ops.linearPacked(x, packed, bias, 300)).toThrow(
          /Expected a float32 or bfloat16 input that agrees with the packed weight of 300 outputs/,
        );
        // 92 outputs, or 62 inputs, take as many bytes in some kernels.
        expect(() => ops.linearPacked(x, packed, randn([92]), 92)).toThrow(/packed weight of 92 outputs/);
        for (const width of [2, 62, 63, 66])
          expect(() => ops.linearPacked(randn([40, width]).to(dtype), packed, bias, 91)).toThrow(
            /agrees with the packed/,
          );
        expect(() => ops.linearPacked(x, randn([packed.shape[0] ?? 0]), bias, 91)).toThrow(/agrees with the packed/);
        expect(() => ops.packLinear(randn([7]), dtype)).toThrow(/weight of two dimensions/);
        expect(() => ops.packLinear(weight, "float16")).toThrow(/float32 or bfloat16 for dtype/);
      });
    },
  );

  it("sums a bias gradient of many rows without losing any", () => {
    scope(() => {
      const rows = 7801;
      const inputs = [randn([rows, 2]), randn([300, 2]), randn([300])];
      const bias = run(viaLinear, inputs, ops.ones([rows, 300]))[3];
      expect(bias.eq(rows).all().item()).toBe(1);
    });
  });

  it("does without a bias, and without a gradient of the input", () => {
    const [x, weight] = [randn([3, 2]), randn([4, 2])];
    weight.requiresGrad = true;
    ops.linear(x, weight).sum().backward();
    expect(weight.grad?.shape).toEqual([4, 2]);
    expect(x.grad).toBe(null);
  });

  it.each(["float32", "bfloat16"] as const)("can be differentiated twice, with an input of %s", (dtype) => {
    const x = randn([20, 2]).to(dtype);
    const [weight, bias] = [randn([4, 2]), randn([4])];
    for (const leaf of [x, weight, bias]) leaf.requiresGrad = true;
    const [first] = gradients([ops.square(viaLinear(x, weight, bias)).sum()], [x], { createGraph: true }) as Tensor[];
    const [second] = gradients([ops.square(first).sum()], [bias]) as Tensor[];
    expect(second.isfinite().all().item()).toBe(1);
    expect(second.abs().sum().item()).toBeGreaterThan(0);
  });

  it("hands NaN on", () => {
    const gradient = randn([20, 3]);
    gradient.select(0, 2).select(0, 1).fill_(Number.NaN);
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [, x, , bias] = run(viaLinear, [randn([20, 2]).to(dtype), randn([3, 2]), randn([3])], gradient.to(dtype));
      expect(bias.isfinite().toList()).toEqual([1, 0, 1]);
      expect(x.isfinite().all(-1).toList()).toEqual(Array.from({ length: 20 }, (_, row) => (row === 2 ? 0 : 1)));
    }
  });
});
