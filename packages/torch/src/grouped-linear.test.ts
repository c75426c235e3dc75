import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gradients, manualSeed, noGrad, ops, randn, scope, type Tensor } from "./index.js";

/** Value and gradients, of the input, then of the weights, then of the biases, of a layer for each group. */
function run(input: Tensor, weights: Tensor[], biases: Tensor[], gradient: Tensor, split: boolean): Tensor[] {
  const leaves = [input, ...weights, ...biases].map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const groups = weights.length;
  const out = ops.groupedLinear(leaves[0], leaves.slice(1, 1 + groups), leaves.slice(1 + groups), split);
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient] }) as Tensor[])];
}

/** Largest error of an element in parts of what it is a sum of: sums may cancel. */
const largestError = (value: Tensor, judge: Tensor, magnitudes: Tensor): number =>
  value
    .double()
    .sub(judge)
    .abs()
    .div(magnitudes.clamp({ min: 1e-30 }))
    .amax()
    .item();

describe("rfdetr::grouped_linear", () => {
  // Three products of bfloat16 halves leave 2⁻¹⁶ of each factor; gradients round their operands to 2⁻⁹ once.
  it("equals its plain twin: values to sixteen bits, gradients to bfloat16, over odd sizes, with rows for each group or for all", () => {
    fc.assert(
      fc.property(
        fc.record({
          groups: fc.integer({ min: 1, max: 4 }),
          rows: fc.integer({ min: 1, max: 90 }),
          input: fc.integer({ min: 1, max: 150 }),
          output: fc.integer({ min: 1, max: 150 }),
          magnitude: fc.constantFrom(1e-4, 1, 1e4),
          shared: fc.boolean(),
          split: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ groups, rows, input, output, magnitude, shared, split, seed }) =>
          scope(() => {
            manualSeed(seed);
            const each = (shape: number[]): Tensor[] => Array.from({ length: groups }, () => randn(shape));
            const x = randn([shared ? 1 : groups, rows, input]).mul(magnitude);
            const [weights, biases] = [each([output, input]), each([output])];
            const gradient = randn([groups, rows, output]);
            const double = (list: Tensor[]): Tensor[] => list.map((t) => t.double());
            const ours = run(x, weights, biases, gradient, split);
            const judge = run(x.double(), double(weights), double(biases), gradient.double(), false);
            const absolute = (list: Tensor[]): Tensor[] => double(list).map((t) => t.abs());
            const magnitudes = run(
              x.double().abs(),
              absolute(weights),
              absolute(biases),
              gradient.double().abs(),
              false,
            );
            ours.forEach((value, i) => {
              expect([value.dtype, value.shape]).toEqual(["float32", judge[i].shape]);
              expect(largestError(value, judge[i], magnitudes[i])).toBeLessThan(
                !split ? 2e-6 : i === 0 ? 2 ** -15 : 2 ** -7,
              );
            });
            expect(noGrad(() => ops.groupedLinear(x, weights, biases, split)).toList()).toEqual(ours[0].toList());
          }),
      ),
      { numRuns: 60 },
    );
  });

  it("leaves no ties where bfloat16 products leave many", () => {
    scope(() => {
      const [x, weight, bias] = [randn([1, 500, 64]), randn([1, 64]), randn([1])];
      const distinct = (values: Tensor): number => new Set(values.flatten().toList() as number[]).size;
      expect(distinct(ops.groupedLinear(x, [weight], [bias], true))).toBeGreaterThan(490);
      expect(distinct(ops.linear(x.to("bfloat16"), weight.to("bfloat16"), { bias: bias.to("bfloat16") }))).toBeLessThan(
        450,
      );
    });
  });

  it("can be differentiated twice", () => {
    const [x, weight, bias] = [randn([1, 20, 4]), randn([6, 4]), randn([6])];
    for (const leaf of [x, weight, bias]) leaf.requiresGrad = true;
    const out = ops.groupedLinear(x, [weight], [bias], true);
    const [first] = gradients([ops.square(out).sum()], [x], { createGraph: true }) as Tensor[];
    const [second] = gradients([ops.square(first).sum()], [weight]) as Tensor[];
    expect(second.isfinite().all().item()).toBe(1);
    expect(second.abs().sum().item()).toBeGreaterThan(0);
  });

  it("says what shapes it wants", () => {
    expect(() => ops.groupedLinear(randn([2, 3, 4]), [randn([5, 4])], [randn([5])], true)).toThrow(
      /Expected an input \[groups or 1, N, K\]/,
    );
    expect(() => ops.groupedLinear(randn([1, 3, 4]), [randn([5, 6])], [randn([5])], true)).toThrow(
      /Expected weights \[O, 4\]/,
    );
  });
});
