import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DType, gradients, manualSeed, ops, randn, scope, type Tensor } from "./index.js";

/** Value and gradients of y = x·Wᵀ + b. */
function run(linear: (x: Tensor, weight: Tensor, bias: Tensor) => Tensor, inputs: readonly Tensor[], gradient: Tensor): Tensor[] {
  const leaves = inputs.map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const out = linear(leaves[0], leaves[1], leaves[2]);
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient] }) as Tensor[])];
}

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
          lead: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
          input: fc.integer({ min: 1, max: 70 }),
          output: fc.integer({ min: 1, max: 600 }),
          dtype: fc.constantFrom<DType>("float32", "bfloat16", "float64"),
          sliced: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ lead, input, output, dtype, sliced, seed }) =>
          scope(() => {
            manualSeed(seed);
            const whole = randn([...lead, sliced ? 2 * input : input]).to(dtype);
            const inputs = [sliced ? whole.narrow(-1, input, input) : whole, randn([output, input]).to(dtype), randn([output]).to(dtype)];
            const gradient = randn([...lead, output]).to(dtype);
            const [ours, twin] = [viaLinear, viaAddmm].map((linear) => run(linear, inputs, gradient));
            ours.forEach((value, i) => {
              expect(value.shape).toEqual(twin[i].shape);
              const error = value.double().sub(twin[i].double()).norm().item() / Math.max(twin[i].double().norm().item(), 1e-3);
              // Sums in another order; in bfloat16 each side rounds its result by up to 2⁻⁸.
              expect(error).toBeLessThan(dtype === "bfloat16" ? 2 ** -7 : 2e-6);
            });
          }),
      ),
      { numRuns: 60 },
    );
  });

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

  it("can be differentiated twice", () => {
    const x = randn([3, 2]);
    const [weight, bias] = [randn([4, 2]), randn([4])];
    for (const leaf of [x, weight, bias]) leaf.requiresGrad = true;
    const [first] = gradients([ops.square(viaLinear(x, weight, bias)).sum()], [x], { createGraph: true }) as Tensor[];
    const [second] = gradients([ops.square(first).sum()], [bias]) as Tensor[];
    expect(second.isfinite().all().item()).toBe(1);
    expect(second.abs().sum().item()).toBeGreaterThan(0);
  });

  it("hands NaN on", () => {
    const gradient = randn([5, 3]);
    gradient.select(0, 2).select(0, 1).fill_(Number.NaN);
    const bias = run(viaLinear, [randn([5, 2]), randn([3, 2]), randn([3])], gradient)[3];
    expect(bias.isfinite().toList()).toEqual([1, 0, 1]);
  });
});
