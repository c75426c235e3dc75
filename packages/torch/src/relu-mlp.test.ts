import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gradients, manualSeed, ops, randn, scope, type Tensor } from "./index.js";

/** Value and gradients, of the input, then of the weights, then of the biases, of layers with ReLU between them. */
function run(mlp: typeof ops.reluMlp, input: Tensor, parameters: Tensor[], gradient: Tensor): Tensor[] {
  const leaves = [input, ...parameters].map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const layers = parameters.length / 2;
  const out = mlp(leaves[0], leaves.slice(1, 1 + layers), leaves.slice(1 + layers));
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient] }) as Tensor[])];
}

describe("rfdetr::relu_mlp", () => {
  it("has the bits of its layers one after the other, over depths and odd sizes", () => {
    fc.assert(
      fc.property(
        fc.record({
          lead: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 2 }),
          sizes: fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 2, maxLength: 4 }),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ lead, sizes, seed }) =>
          scope(() => {
            manualSeed(seed);
            const layers = sizes.slice(1);
            const parameters = [...layers.map((size, i) => randn([size, sizes[i]])), ...layers.map((size) => randn([size]))];
            const input = randn([...lead, sizes[0]]).to("bfloat16");
            const gradient = randn([...lead, sizes[sizes.length - 1]]).to("bfloat16");
            // linear() takes the float32 weights as the fused operator does.
            const oneByOne: typeof ops.reluMlp = (x, weights, biases) =>
              weights.reduce((y, weight, i) => ops.linear(i === 0 ? y : ops.relu(y), weight, { bias: biases[i] }), x);
            const [fused, single] = [ops.reluMlp, oneByOne].map((mlp) => run(mlp, input, parameters, gradient));
            fused.forEach((value, i) => {
              expect([value.dtype, value.shape]).toEqual([single[i].dtype, single[i].shape]);
              // Where the kernels take not every layer, its twin rounds gradients of weights to bfloat16.
              const kernel =
                ops.linearTakesMasters() && lead.reduce((a, b) => a * b, 1) >= 16 && sizes.slice(0, -1).every((size) => size % 2 === 0);
              if (kernel) expect(value.float().toList()).toEqual(single[i].float().toList());
              else
                expect(value.double().sub(single[i].double()).norm().item()).toBeLessThanOrEqual(
                  2 ** -4 * single[i].double().norm().item() + 1e-30,
                );
            });
          }),
      ),
      { numRuns: 60 },
    );
  });

  it("stops gradients where ReLU does, and hands NaN on", () => {
    scope(() => {
      const input = ops.ones([20, 2], { dtype: "bfloat16" });
      const full = (shape: number[], value: number): Tensor => ops.full(shape, value, { dtype: "float32" });
      const dead = [full([4, 2], -1), full([2, 4], 1), full([4], -1), full([2], 3)];
      const [out, x] = run(ops.reluMlp, input, dead, ops.ones([20, 2], { dtype: "bfloat16" }));
      expect(out.eq(3).all().item()).toBe(1);
      expect(x.eq(0).all().item()).toBe(1);
      input.select(0, 1).fill_(Number.NaN);
      expect(
        run(ops.reluMlp, input, dead, ops.ones([20, 2], { dtype: "bfloat16" }))[0]
          .isfinite()
          .all(-1)
          .sum()
          .item(),
      ).toBe(19);
    });
  });
});
