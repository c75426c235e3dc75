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

type Attend = typeof ops.attention;

/**
 * `floor` bounds the denominator: gradients of scores are differences of products, and cancel to almost nothing with
 * few keys.
 */
function relativeError(value: Tensor, judge: Tensor, floor: number): number {
  return value.double().sub(judge).norm().item() / Math.max(judge.norm().item(), floor);
}

function run(attend: Attend, inputs: Tensor[], gradient: Tensor, scale: number): Tensor[] {
  const leaves = inputs.map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const out = attend(leaves[0], leaves[1], leaves[2], scale);
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient] }) as Tensor[])];
}

/** A tensor [batch, length, heads, width] as a projection alone, a joint one, or another order of axes gives it. */
function laidOut(layout: string, [batch, length, heads, width]: number[], magnitude: number, dtype: DType): Tensor {
  const random = (shape: number[]): Tensor => randn(shape).mul(magnitude).to(dtype);
  if (layout === "slice of a wider tensor") return random([batch, length, heads, 2 * width]).narrow(-1, width, width);
  if (layout === "heads before tokens") return random([batch, heads, length, width]).transpose(1, 2);
  if (layout === "tokens last") return random([batch, heads, width, length]).permute([0, 3, 1, 2]);
  return random([batch, length, heads, width]);
}

const attentionCase = fc.record({
  dtype: fc.constantFrom<DType[]>("float32", "bfloat16"),
  batch: fc.integer({ min: 1, max: 2 }),
  heads: fc.integer({ min: 1, max: 3 }),
  queries: fc.integer({ min: 1, max: 150 }),
  keys: fc.integer({ min: 1, max: 150 }),
  width: fc.constantFrom(5, 8, 24, 32, 64, 96, 128),
  magnitude: fc.constantFrom(1e-3, 1, 8),
  sign: fc.constantFrom(1, -1),
  layout: fc.constantFrom("contiguous", "slice of a wider tensor", "heads before tokens", "tokens last"),
  seed: fc.integer({ min: 0, max: 1000 }),
});

describe("rfdetr::attention", () => {
  // bfloat16 has 8 bits of mantissa: inputs and results rounded to it differ from the exact ones by 2e-3 to 4e-3 of
  // their norm.
  it("equals its plain twin within the rounding of its dtype, over odd sizes, strides and magnitudes", () => {
    fc.assert(
      fc.property(attentionCase, (c) =>
        scope(() => {
          manualSeed(c.seed);
          const make = (length: number): Tensor =>
            laidOut(c.layout, [c.batch, length, c.heads, c.width], c.magnitude, c.dtype);
          const inputs = [make(c.queries), make(c.keys), make(c.keys)];
          const gradient = randn([c.batch, c.queries, c.heads, c.width]).to(c.dtype);
          const scale = c.sign / Math.sqrt(c.width);
          const fused = run(ops.attention, inputs, gradient, scale);
          const judge = run(
            ops.attentionComposed,
            inputs.map((t) => t.double()),
            gradient.double(),
            scale,
          );
          const twin = run(ops.attentionComposed, inputs, gradient, scale);
          const products = (gradient.double().norm().item() * c.magnitude * c.magnitude) / Math.sqrt(c.width);
          // 2⁻¹⁶ between the roundings of the two dtypes, and 2³ for the roundings of sums.
          const rounding = c.dtype === "float32" ? 2 ** -13 : 1;
          // A score and its product with log2 e are rounded: an error of the weights that grows with the score.
          const scores = ops.einsum("bqhw,bkhw->bhqk", inputs.slice(0, 2));
          const scoreRounding = scores.abs().max().item() * Math.abs(scale) * 2 ** -22;
          // The gradient of a score is a difference of sums of `width` products, each rounded as they are and not as
          // what is left of them.
          const differenceRounding = products * c.width * 2 ** -24;
          fused.forEach((value, i) => {
            expect(value.dtype).toBe(c.dtype);
            const ofScores = i === 1 || i === 2;
            const floor = ofScores ? products : 1e-3;
            const differences = ofScores ? differenceRounding / Math.max(judge[i].norm().item(), floor) : 0;
            // Where one key has nearly all the weight, what is left for the scores' gradients is the rounding of
            // differences of near equals.
            const allowed = c.magnitude === 8 && ofScores ? 3e-2 : 6e-3;
            expect(relativeError(value, judge[i], floor)).toBeLessThan(
              Math.max(allowed * rounding + scoreRounding + differences, 1.5 * relativeError(twin[i], judge[i], floor)),
            );
          });
        }),
      ),
      { numRuns: 120 },
    );
  });

  it("is as exact in float32 as libtorch's attention where queries see hundreds of keys", () => {
    manualSeed(3);
    const [inputs, gradient] = [[0, 1, 2].map(() => randn([1, 580, 1, 64])), randn([1, 580, 1, 64])];
    const judge = run(
      ops.attentionComposed,
      inputs.map((t) => t.double()),
      gradient.double(),
      0.125,
    );
    const [fused, twin] = [ops.attention, ops.attentionComposed].map((attend) => run(attend, inputs, gradient, 0.125));
    fused.forEach((value, i) => {
      expect(relativeError(value, judge[i], 0)).toBeLessThan(1.1 * relativeError(twin[i], judge[i], 0));
    });
  });

  it("is the value of the best key where scores are huge, float32", () => {
    // Scores of 10⁴ to 10¹²: a rounding of the largest is up to 2¹⁵, more than an exponential takes.
    const strength = ops.arange(1, 65).reshape([1, 64, 1, 1]);
    const inputs = [
      strength.pow(4.4).mul(randn([1, 64, 1, 8]).abs().add(1)),
      ops.arange(0, 41).eq(0).float().sub(0.5).mul(2e4).reshape([1, 41, 1, 1]).expand([1, 41, 1, 8]),
      randn([1, 41, 1, 8]),
    ];
    const [out, query, key, value] = run(ops.attention, inputs, ops.ones([1, 64, 1, 8]), 0.3);
    expect(
      out
        .sub(inputs[2].narrow(1, 0, 1))
        .abs()
        .max()
        .item(),
    ).toBe(0);
    expect(query.abs().max().item()).toBe(0);
    expect(key.abs().max().item()).toBe(0);
    expect(value.narrow(1, 0, 1).flatten().toList()).toEqual(Array(8).fill(64));
  });

  it.each(["float32", "bfloat16"] as const)("has the same bits with every thread count, %s", (dtype) => {
    const before = getNumThreads();
    const inputs = [301, 70, 70].map((length) => randn([1, length, 3, 32]).to(dtype));
    const gradient = randn([1, 301, 3, 32]).to(dtype);
    try {
      const [first, ...others] = [1, 2, 3].map((threads) => {
        setNumThreads(threads);
        return run(ops.attention, inputs, gradient, 0.2).map((t) => t.toList());
      });
      for (const other of others) expect(other).toEqual(first);
    } finally {
      setNumThreads(before);
    }
  });

  it.each(["float32", "bfloat16"] as const)("has second derivatives, %s", (dtype) => {
    const inputs = [4, 6, 6].map((length) => randn([1, length, 2, 8]).to(dtype));
    const second = (attend: Attend, from: Tensor[]): Tensor[] => {
      const leaves = from.map((t) => t.detach());
      for (const leaf of leaves) leaf.requiresGrad = true;
      const out = attend(leaves[0], leaves[1], leaves[2], 0.3);
      const first = gradients([out.pow(2).sum()], leaves, { createGraph: true }) as Tensor[];
      const sum = first.map((g) => g.pow(2).sum()).reduce((a, b) => a.add(b));
      return gradients([sum], leaves) as Tensor[];
    };
    // libtorch's own attention has no second derivative.
    const written: Attend = (query, key, value, scale) => {
      const [q, k, v] = [query, key, value].map((t) => t.transpose(1, 2));
      return ops.matmul(ops.matmul(q, k.transpose(2, 3)).mul(scale).softmax(-1), v).transpose(1, 2);
    };
    const judge = second(
      written,
      inputs.map((t) => t.double()),
    );
    second(ops.attention, inputs).forEach((value, i) => {
      expect(relativeError(value, judge[i], 0)).toBeLessThan(dtype === "float32" ? 1e-5 : 6e-2);
    });
  });

  it("gives what its twin gives without tokens or channels", () => {
    for (const [batch, queries, keys, width] of [
      [0, 3, 4, 8],
      [2, 0, 4, 8],
      [2, 3, 0, 8],
      [2, 3, 4, 0],
    ]) {
      const inputs = [queries, keys, keys].map((length) => randn([batch, length, 2, width]));
      const [fused, twin] = [ops.attention, ops.attentionComposed].map((attend) =>
        attend(inputs[0], inputs[1], inputs[2], 0.3),
      );
      expect(fused.shape).toEqual([batch, queries, 2, width]);
      expect(fused.toList()).toEqual(twin.toList());
    }
  });

  it("does the same from run to run", () => {
    const inputs = [0, 1, 2].map(() => randn([2, 70, 2, 32]).to("bfloat16"));
    const gradient = randn([2, 70, 2, 32]).to("bfloat16");
    const [a, b] = [0, 1].map(() => run(ops.attention, inputs, gradient, 0.2).map((t) => t.toList()));
    expect(a).toEqual(b);
  });

  it.each(["float32", "bfloat16"] as const)(
    "hands NaN on and neither loses nor spreads it to other rows, %s",
    (dtype) => {
      const query = randn([1, 3, 1, 32]);
      query.select(1, 1).fill_(Number.NaN);
      const inputs = [query, randn([1, 5, 1, 32]), randn([1, 5, 1, 32])].map((t) => t.to(dtype));
      const finite = run(ops.attention, inputs, randn([1, 3, 1, 32]).to(dtype), 1).map((t) =>
        t.isfinite().all(-1).flatten().toList(),
      );
      const none = [0, 0, 0, 0, 0];
      expect(finite).toEqual([[1, 0, 1], [1, 0, 1], none, none]);
    },
  );

  it("gives what softmax(q·kᵀ)·v gives where scores are not finite, or large", () => {
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    const width = 8;
    const fills: [name: string, write: (query: Tensor, key: Tensor) => void][] = [
      ["a query of +inf", (query) => void query.select(1, 1).fill_(inf)],
      ["a query of −inf", (query) => void query.select(1, 0).fill_(-inf)],
      ["a key of NaN", (_, key) => void key.select(1, 0).fill_(nan)],
      ["keys of −inf before a positive query", (query, key) => void [query.fill_(1), key.fill_(-inf)]],
      ["products beyond float16", (query, key) => void [query.fill_(300), key.fill_(300)]],
    ];
    for (const dtype of ["float32", "bfloat16", "float16"] as const)
      for (const keys of [1, 4, 16, 40])
        for (const [name, write] of fills) {
          const [query, key, value] = [randn([1, 3, 1, width]), randn([1, keys, 1, width]), randn([1, keys, 1, width])];
          write(query, key);
          const [q, k, v] = [query, key, value].map((x) => x.to(dtype));
          const [a, b, c] = [q, k, v].map((x) => x.float().select(2, 0));
          const written = ops.matmul(ops.matmul(a, b.transpose(1, 2)).mul(0.1).softmax(-1), c);
          const out = ops.attention(q, k, v, 0.1).float().select(2, 0);
          const finite = (x: Tensor) => x.isfinite().all(-1).flatten().toList();
          expect(finite(out), `${name}, ${keys} keys, ${dtype}`).toEqual(finite(written));
        }
  });

  it("survives scores far beyond the range of exp", () => {
    const query = randn([1, 4, 1, 32]).mul(1e4).to("bfloat16");
    const out = ops.attention(query, query, query, 1);
    expect(out.isfinite().all().item()).toBe(1);
  });

  it("takes a scale of any sign", () => {
    const inputs = [3, 5, 5].map((length) => randn([1, length, 2, 32]).to("bfloat16")) as [Tensor, Tensor, Tensor];
    for (const scale of [-40, 0]) {
      const exact = ops.attentionComposed(inputs[0].double(), inputs[1].double(), inputs[2].double(), scale);
      expect(relativeError(ops.attention(...inputs, scale), exact, 0), `scale ${scale}`).toBeLessThan(5e-3);
    }
  });

  it("says what shapes it wants", () => {
    expect(() => ops.attention(randn([1, 2, 3]), randn([1, 2, 3]), randn([1, 2, 3]), 1)).toThrow(/4 dimensions/);
    expect(() => ops.attention(randn([1, 2, 1, 4]), randn([1, 2, 2, 4]), randn([1, 2, 2, 4]), 1)).toThrow(
      /agrees with the query/,
    );
  });
});
