import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gradients, manualSeed, ops, randn, scope, type Tensor } from "./index.js";

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

describe("rfdetr::attention", () => {
  // bfloat16 has 8 bits of mantissa: inputs and results rounded to it differ from the exact ones by 2e-3 to 4e-3 of
  // their norm.
  it("equals its plain twin within bfloat16 rounding, over odd lengths, widths, strides and magnitudes", () => {
    fc.assert(
      fc.property(
        fc.record({
          batch: fc.integer({ min: 1, max: 2 }),
          heads: fc.integer({ min: 1, max: 3 }),
          queries: fc.integer({ min: 1, max: 150 }),
          keys: fc.integer({ min: 1, max: 150 }),
          width: fc.constantFrom(32, 64, 96, 128),
          magnitude: fc.constantFrom(1e-3, 1, 8),
          packed: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        (c) =>
          scope(() => {
            manualSeed(c.seed);
            const make = (length: number): Tensor => {
              // `packed`: a slice of a wider tensor, as a joint projection gives it.
              const whole = randn([c.batch, length, c.heads, c.packed ? 2 * c.width : c.width])
                .mul(c.magnitude)
                .to("bfloat16");
              return c.packed ? whole.narrow(-1, c.width, c.width) : whole;
            };
            const inputs = [make(c.queries), make(c.keys), make(c.keys)];
            const gradient = randn([c.batch, c.queries, c.heads, c.width]).to("bfloat16");
            const scale = 1 / Math.sqrt(c.width);
            const fused = run(ops.attention, inputs, gradient, scale);
            const judge = run(
              ops.attentionComposed,
              inputs.map((t) => t.double()),
              gradient.double(),
              scale,
            );
            const twin = run(ops.attentionComposed, inputs, gradient, scale);
            const products = gradient.double().norm().item() * c.magnitude * c.magnitude * scale;
            fused.forEach((value, i) => {
              expect(value.dtype).toBe("bfloat16");
              const floor = i === 1 || i === 2 ? products : 1e-3;
              // Where one key has nearly all the weight, what is left for the scores' gradients is the rounding of
              // differences of near equals.
              const allowed = c.magnitude === 8 && (i === 1 || i === 2) ? 3e-2 : 6e-3;
              expect(relativeError(value, judge[i], floor)).toBeLessThan(
                Math.max(allowed, 1.5 * relativeError(twin[i], judge[i], floor)),
              );
            });
          }),
      ),
      { numRuns: 60 },
    );
  });

  it("does the same from run to run", () => {
    const inputs = [0, 1, 2].map(() => randn([2, 70, 2, 32]).to("bfloat16"));
    const gradient = randn([2, 70, 2, 32]).to("bfloat16");
    const [a, b] = [0, 1].map(() => run(ops.attention, inputs, gradient, 0.2).map((t) => t.toList()));
    expect(a).toEqual(b);
  });

  it("hands NaN on and neither loses nor spreads it to other rows", () => {
    const query = randn([1, 3, 1, 32]);
    query.select(1, 1).fill_(Number.NaN);
    const out = ops.attention(
      query.to("bfloat16"),
      randn([1, 5, 1, 32]).to("bfloat16"),
      randn([1, 5, 1, 32]).to("bfloat16"),
      1,
    );
    expect(out.isfinite().all(-1).flatten().toList()).toEqual([1, 0, 1]);
  });

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
