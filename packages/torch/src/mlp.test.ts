import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type DType,
  dispatch,
  gradients,
  manualSeed,
  memory,
  operator,
  ops,
  randn,
  resetPeakMemory,
  scope,
  type Tensor,
  tensor,
} from "./index.js";

/** Whether the kernels take layers of this width: pairs of bfloat16 need an even one. */
const takesMasters = (width: number, dtype: DType): boolean => {
  try {
    ops.packLinear(ops.zeros([1, width]), dtype).dispose();
    return true;
  } catch {
    return false;
  }
};

const gelu = (x: Tensor): Tensor => dispatch(operator("rfdetr::gelu"), [x]) as Tensor;

/**
 * Value and gradients, of the input, then of the weights, then of the biases, of layers with an activation between
 * them.
 */
function run(mlp: typeof ops.mlp, input: Tensor, parameters: Tensor[], gradient: Tensor, activation: string): Tensor[] {
  const leaves = [input, ...parameters].map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const layers = parameters.length / 2;
  const out = mlp(leaves[0], leaves.slice(1, 1 + layers), leaves.slice(1 + layers), activation);
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient] }) as Tensor[])];
}

describe("rfdetr::mlp", () => {
  it("has the bits of its layers one after the other, over depths and odd sizes", () => {
    fc.assert(
      fc.property(
        fc.record({
          lead: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 2 }),
          sizes: fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 2, maxLength: 4 }),
          activation: fc.constantFrom("relu", "gelu"),
          dtype: fc.constantFrom<DType>("float32", "bfloat16"),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        ({ lead, sizes, activation, dtype, seed }) =>
          scope(() => {
            manualSeed(seed);
            const layers = sizes.slice(1);
            const parameters = [
              ...layers.map((size, i) => randn([size, sizes[i]])),
              ...layers.map((size) => randn([size])),
            ];
            const input = randn([...lead, sizes[0]]).to(dtype);
            const gradient = randn([...lead, sizes[sizes.length - 1]]).to(dtype);
            // linear() takes the float32 weights as the fused operator does.
            const oneByOne: typeof ops.mlp = (x, weights, biases) =>
              weights.reduce(
                (y, weight, i) =>
                  ops.linear(i === 0 ? y : activation === "relu" ? ops.relu(y) : gelu(y), weight, { bias: biases[i] }),
                x,
              );
            // Where the kernels take not every layer, its twin runs.
            const kernel =
              lead.reduce((a, b) => a * b, 1) >= 16 && sizes.slice(0, -1).every((size) => takesMasters(size, dtype));
            const [fused, single] = [ops.mlp, kernel ? oneByOne : ops.mlpComposed].map((mlp) =>
              run(mlp, input, parameters, gradient, activation),
            );
            fused.forEach((value, i) => {
              expect([value.dtype, value.shape]).toEqual([single[i].dtype, single[i].shape]);
              expect(value.float().toList()).toEqual(single[i].float().toList());
            });
          }),
      ),
      { numRuns: 60 },
    );
  });

  it.each((["float32", "bfloat16"] as const).filter((dtype) => ops.linearHasKernels(dtype)))(
    "has the same bits of %s with weights that were packed once",
    (dtype) => {
      scope(() => {
        const weights = [randn([300, 64]), randn([91, 300]), randn([4, 91 - 1])];
        const biases = weights.map((weight) => randn([weight.shape[0]]));
        const outputs = weights.map((weight) => weight.shape[0]);
        for (const [rows, count] of [
          [40, 2],
          [17, 1],
        ]) {
          const x = randn([2, rows, 64]).to(dtype);
          const [some, sums] = [weights.slice(0, count), biases.slice(0, count)];
          const packed = some.map((weight) => ops.packLinear(weight, dtype));
          for (const activation of ["relu", "gelu"])
            expect(ops.mlpPacked(x, packed, sums, outputs.slice(0, count), activation).float().toList()).toEqual(
              ops.mlp(x, some, sums, activation).float().toList(),
            );
        }
        const packed = weights.map((weight) => ops.packLinear(weight, dtype));
        expect(() => ops.mlpPacked(randn([20, 64]).to(dtype), packed, biases, outputs, "relu")).toThrow(
          /others in layer 2/,
        );
        expect(() => ops.mlpPacked(randn([20, 64]).to(dtype), packed, biases, [300], "relu")).toThrow(/1 outputs/);
      });
    },
  );

  it.each(["float32", "bfloat16"] as const)("can be differentiated twice, with an input of %s", (dtype) => {
    const x = randn([20, 4]).to(dtype);
    const parameters = [randn([6, 4]), randn([2, 6]), randn([6]), randn([2])];
    for (const leaf of [x, ...parameters]) leaf.requiresGrad = true;
    const out = ops.mlp(x, parameters.slice(0, 2), parameters.slice(2), "gelu");
    const [first] = gradients([ops.square(out).sum()], [x], { createGraph: true }) as Tensor[];
    const [second] = gradients([ops.square(first).sum()], [parameters[0]]) as Tensor[];
    expect(second.isfinite().all().item()).toBe(1);
    expect(second.abs().sum().item()).toBeGreaterThan(0);
  });

  it.each(
    (
      [
        ["float32", false],
        ["bfloat16", false],
        ["bfloat16", true],
      ] as const
    ).filter(([dtype]) => ops.linearHasKernels(dtype)),
  )("has the bits of its layers for more rows than backward takes at once, %s, again: %s", (dtype, recompute) => {
    scope(() => {
      const parameters = [randn([24, 8]), randn([6, 24]), randn([24]), randn([6])];
      const rows = 4096 + 512 + 5;
      const [input, gradient] = [randn([rows, 8]).to(dtype), randn([rows, 6]).to(dtype)];
      const fused: typeof ops.mlp = (x, weights, biases, name) => ops.mlp(x, weights, biases, name, { recompute });
      const single: typeof ops.mlp = (x, [first, second], [a, b]) =>
        ops.linear(gelu(ops.linear(x, first, { bias: a })), second, { bias: b });
      const [found, expected] = [fused, single].map((mlp) => run(mlp, input, parameters, gradient, "gelu"));
      found.forEach((value, i) => {
        expect(ops.equal(value, expected[i])).toBe(true);
      });
    });
  });

  it.each(["relu", "gelu"] as const)(
    "keeps no hidden layer of %s that it computes again, and has the same bits",
    (activation) => {
      scope(() => {
        const parameters = [randn([96, 32]), randn([64, 96]), randn([16, 64]), randn([96]), randn([64]), randn([16])];
        // More rows than are computed at once.
        const [input, gradient] = [randn([10_000, 32]), randn([10_000, 16])];
        const again: typeof ops.mlp = (x, weights, biases, name) =>
          ops.mlp(x, weights, biases, name, { recompute: true });
        const [kept, recomputed] = [ops.mlp, again].map((mlp) => run(mlp, input, parameters, gradient, activation));
        recomputed.forEach((value, i) => {
          expect(ops.equal(value, kept[i])).toBe(true);
        });
        if (!takesMasters(32, "float32")) return;
        input.requiresGrad = true;
        resetPeakMemory();
        const before = memory().liveBytes;
        const out = again(input, parameters.slice(0, 3), parameters.slice(3), activation);
        expect(memory().liveBytes - before).toBe(out.nbytes);
        const hidden = 10_000 * (96 + 64) * 4;
        expect(memory().peakBytes - before).toBeLessThan(out.nbytes + hidden);
      });
    },
  );

  it("stops gradients where ReLU does, and hands NaN on", () => {
    scope(() => {
      const input = ops.ones([20, 2], { dtype: "bfloat16" });
      const full = (shape: number[], value: number): Tensor => ops.full(shape, value, { dtype: "float32" });
      const dead = [full([4, 2], -1), full([2, 4], 1), full([4], -1), full([2], 3)];
      const [out, x] = run(ops.mlp, input, dead, ops.ones([20, 2], { dtype: "bfloat16" }), "relu");
      expect(out.eq(3).all().item()).toBe(1);
      expect(x.eq(0).all().item()).toBe(1);
      input.select(0, 1).fill_(Number.NaN);
      expect(
        run(ops.mlp, input, dead, ops.ones([20, 2], { dtype: "bfloat16" }), "relu")[0]
          .isfinite()
          .all(-1)
          .sum()
          .item(),
      ).toBe(19);
    });
  });
});

describe("rfdetr::gelu", () => {
  it("is within a bfloat16 rounding of the exact one over the whole range, and so is its gradient", () => {
    scope(() => {
      // Every bfloat16 number between 1e-30 and 20, either sign, and zero.
      const positive = Array.from(
        { length: 14000 },
        (_, i) => new Float32Array(new Uint32Array([(0x0d00 + i) << 16]).buffer)[0],
      ).filter((x) => x < 20);
      const values = tensor(Float32Array.from([0, ...positive, ...positive.map((x) => -x)]));
      const run = (x: Tensor, of: (x: Tensor) => Tensor): Tensor[] => {
        x.requiresGrad = true;
        const out = of(x);
        return [out, ...(gradients([out], [x], { outputGradients: [ops.onesLike(out)] }) as Tensor[])];
      };
      const judge = run(values.double(), (x) => ops.gelu(x));
      run(values.to("bfloat16"), gelu).forEach((own, i) => {
        const error = own.double().sub(judge[i]).abs();
        // Near −0.75 the slope passes through zero, and far out on the left everything ends in the smallest numbers.
        const allowed = judge[i]
          .abs()
          .mul(2 ** -8)
          .add(1e-6);
        expect(error.le(allowed).all().item()).toBe(1);
      });
    });
  });

  it("knows zero, infinity and NaN", () => {
    const x = tensor(Float32Array.from([0, -0, Number.POSITIVE_INFINITY, Number.NaN])).to("bfloat16");
    expect(gelu(x).float().toList()).toEqual([0, -0, Number.POSITIVE_INFINITY, Number.NaN]);
  });

  it("is as exact as float32 is, and so is its gradient", () => {
    scope(() => {
      const values = randn([4000]).mul(3);
      const [ours, judge] = [values.clone(), values.double()].map((x, i) => {
        x.requiresGrad = true;
        const out = i === 0 ? gelu(x) : ops.gelu(x);
        return [out, ...(gradients([out], [x], { outputGradients: [ops.onesLike(out)] }) as Tensor[])];
      });
      ours.forEach((own, i) => {
        expect(own.double().sub(judge[i]).abs().amax().item()).toBeLessThan(1e-6);
      });
    });
  });

  it("is libtorch's for other types", () => {
    const x = randn([50]).double();
    expect(gelu(x).toList()).toEqual(ops.gelu(x).toList());
  });
});
