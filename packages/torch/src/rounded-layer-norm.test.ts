import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DType, gradients, manualSeed, memory, ops, randn, scope, setNumThreads, type Tensor } from "./index.js";

type Norm = (x: Tensor, weight: Tensor, bias: Tensor, eps: number) => [Tensor, Tensor];
const ours: Norm = ops.roundedLayerNorm;
const twin: Norm = ops.roundedLayerNormComposed;

/** Both results, and the gradients of input, weight and bias where the results have the given gradients. */
function run(norm: Norm, inputs: readonly Tensor[], given: readonly Tensor[]): Tensor[] {
  const leaves = inputs.map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const results = norm(leaves[0], leaves[1], leaves[2], 1e-6);
  const outputGradients = given.map((g, i) => g.to(results[i].dtype));
  return [...results, ...(gradients(results, leaves, { outputGradients }) as Tensor[])];
}

const error = (value: Tensor, exact: Tensor): number =>
  value.double().sub(exact.double()).norm().item() / Math.max(exact.double().norm().item(), 1e-30);

/** Weights and biases as training makes them: any sign, some of them zero, some biases much larger than the weight. */
const affine = (size: number): [weight: Tensor, bias: Tensor] => {
  const pick = ops.remainder(ops.arange(size), 7);
  return [randn([size]).mul(pick.ne(0)), randn([size]).mul(pick.eq(1).mul(100).add(0.5))];
};

describe("rfdetr::rounded_layer_norm", () => {
  it("has the results and the gradients of its composition in float64, over sizes, dtypes and magnitudes", () => {
    fc.assert(
      fc.property(
        fc.record({
          lead: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
          size: fc.oneof(fc.integer({ min: 2, max: 70 }), fc.constantFrom(256, 384, 401)),
          dtype: fc.constantFrom<DType>("float32", "bfloat16"),
          magnitude: fc.constantFrom(1e-2, 1, 1e5),
          sliced: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ lead, size, dtype, magnitude, sliced, seed }) =>
          scope(() => {
            manualSeed(seed);
            const whole = randn([...lead, sliced ? 2 * size : size])
              .mul(magnitude)
              .add(magnitude / 2)
              .to(dtype);
            const inputs = [sliced ? whole.narrow(-1, size, size) : whole, ...affine(size)];
            const given = [randn([...lead, size]), randn([...lead, size]).to("bfloat16")];
            const values = run(ours, inputs, given);
            const exact = run(
              twin,
              inputs.map((t) => t.double()),
              given,
            );
            expect(values.map((t) => t.dtype)).toEqual(["float32", "bfloat16", dtype, "float32", "float32"]);
            expect(error(values[0], exact[0])).toBeLessThan(1e-5);
            expect(ops.equal(values[1], values[0].to("bfloat16"))).toBe(true);
            // The normalised values err by at most 9 · 2⁻⁹, in both of the terms of the input's gradient.
            const arrived = given[0].add(given[1].float()).double();
            const rows = inputs[0].double();
            const scaled = arrived.mul(inputs[1].double()).div(
              ops
                .var(rows, { dim: [-1], keepdim: true, correction: 0 })
                .add(1e-6)
                .sqrt(),
            );
            const distance = (i: number): number => values[i].double().sub(exact[i]).norm().item();
            expect(distance(2)).toBeLessThan(0.036 * scaled.norm().item());
            expect(distance(3)).toBeLessThan(0.018 * arrived.norm().item());
            expect(error(values[4], exact[4])).toBeLessThan(1e-5);
          }),
      ),
      { numRuns: 80 },
    );
  });

  it("gives weights of zero and weights beside large biases their gradient", () => {
    scope(() => {
      manualSeed(3);
      const [weight, bias] = affine(28);
      const inputs = [randn([2000, 28]), weight, bias];
      const given = [randn([2000, 28]), randn([2000, 28])];
      const weightGradient = run(ours, inputs, given)[3];
      const exact = run(
        twin,
        inputs.map((t) => t.double()),
        given,
      )[3];
      const worst = weightGradient.double().sub(exact).abs().amax().item();
      // A sum of 2000 products has a deviation of √2000. Each product errs by up to 9 · 2⁻⁹ of itself.
      expect(worst).toBeLessThan(9 * 2 ** -9 * Math.sqrt(2000));
    });
  });

  it("passes a gradient that only one of its results has", () => {
    scope(() => {
      const x = randn([40, 24]);
      for (const used of [0, 1]) {
        const results = [ours, twin].map((norm) => {
          const leaf = x.detach();
          leaf.requiresGrad = true;
          const [weight, bias] = [ops.full([24], 1.5), ops.full([24], 0.25)];
          const [gradient] = gradients([norm(leaf, weight, bias, 1e-5)[used].float().pow(3).sum()], [leaf]);
          return gradient as Tensor;
        });
        expect(error(results[0], results[1])).toBeLessThan(0.02);
      }
    });
  });

  it("hands NaN and infinity on within their row only, and keeps a constant row finite", () => {
    scope(() => {
      const x = randn([4, 20]);
      x.select(0, 0).select(0, 3).fill_(Number.NaN);
      x.select(0, 1).select(0, 3).fill_(Number.POSITIVE_INFINITY);
      x.select(0, 2).fill_(7);
      const [out] = ours(x, ops.ones([20]), ops.zeros([20]), 1e-6);
      expect(out.isfinite().all(-1).toList()).toEqual([0, 0, 1, 1]);
      expect(out.select(0, 2).abs().amax().item()).toBeLessThan(1e-2);
    });
  });

  it("keeps no float32 tensor of the size of the input for backward, and no other beside the rounded result", () => {
    scope(() => {
      const x = randn([500, 256]);
      x.requiresGrad = true;
      const before = memory().liveBytes;
      const kept = scope(() => {
        const [out, low] = ours(x, ops.ones([256]), ops.zeros([256]), 1e-6);
        out.dispose();
        return low;
      });
      expect(memory().liveBytes - before).toBeLessThan(1.1 * kept.nbytes);
    });
  });

  it("has the same bits whatever the number of threads", () => {
    scope(() => {
      const inputs = [randn([1000, 96]), ...affine(96)];
      const given = [randn([1000, 96]), randn([1000, 96])];
      const [one, two] = [1, 2].map((threads) => {
        setNumThreads(threads);
        return run(ours, inputs, given);
      });
      one.forEach((value, i) => {
        expect(ops.equal(value, two[i])).toBe(true);
      });
    });
  });
});
