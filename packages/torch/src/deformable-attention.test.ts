import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DType, gradients, manualSeed, ops, rand, randn, scope, type Tensor } from "./index.js";

type Attend = typeof ops.deformableAttention;

interface Inputs {
  value: Tensor;
  shapes: number[];
  reference: Tensor;
  offsets: Tensor;
  logits: Tensor;
}

function make(
  shapes: readonly (readonly [number, number])[],
  size: { batch: number; heads: number; channels: number; queries: number; points: number; spread: number },
): Inputs {
  const { batch, heads, channels, queries, points, spread } = size;
  const tokens = shapes.reduce((sum, [h, w]) => sum + h * w, 0);
  return {
    value: randn([batch, tokens, heads, channels]),
    shapes: shapes.flat(),
    reference: rand([batch, queries, 4]),
    offsets: randn([batch, queries, heads, shapes.length, points, 2]).mul(spread),
    logits: randn([batch, queries, heads, shapes.length * points]).mul(3),
  };
}

/** Values and the gradients of value, reference, offsets and logits. */
function run(attend: Attend, inputs: Inputs, gradient: Tensor): Tensor[] {
  const leaves = [inputs.value, inputs.reference, inputs.offsets, inputs.logits].map((t) => t.detach());
  for (const leaf of leaves) leaf.requiresGrad = true;
  const out = attend(leaves[0], inputs.shapes, leaves[1], leaves[2], leaves[3]);
  return [out, ...(gradients([out], leaves, { outputGradients: [gradient.to(out.dtype)] }) as Tensor[])];
}

function cast(inputs: Inputs, value: DType, projected: DType, reference: DType): Inputs {
  return {
    ...inputs,
    value: inputs.value.to(value),
    offsets: inputs.offsets.to(projected),
    logits: inputs.logits.to(projected),
    reference: inputs.reference.to(reference),
  };
}

const relativeError = (value: Tensor, judge: Tensor): number =>
  value.double().sub(judge).norm().item() / Math.max(judge.norm().item(), 1e-3);

describe("rfdetr::deformable_attention", () => {
  it("is as near to float64 as its plain twin, over levels, odd sizes, dtypes and places outside of the map", () => {
    fc.assert(
      fc.property(
        fc.record({
          shapes: fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })), {
            minLength: 1,
            maxLength: 4,
          }),
          batch: fc.integer({ min: 1, max: 2 }),
          heads: fc.integer({ min: 1, max: 3 }),
          channels: fc.constantFrom(1, 3, 8, 16, 17, 32, 40),
          queries: fc.integer({ min: 1, max: 20 }),
          points: fc.integer({ min: 1, max: 4 }),
          spread: fc.constantFrom(0.1, 2, 30),
          value: fc.constantFrom<DType>("float32", "bfloat16"),
          projected: fc.constantFrom<DType>("float32", "bfloat16"),
          seed: fc.integer({ min: 0, max: 1000 }),
        }),
        (c) =>
          scope(() => {
            manualSeed(c.seed);
            // Rounded once, so that all three see the same numbers.
            const inputs = cast(make(c.shapes, c), c.value, c.projected, "float32");
            const gradient = randn([c.batch, c.queries, c.heads * c.channels]).to(c.value);
            const judge = run(ops.deformableAttentionComposed, cast(inputs, "float64", "float64", "float64"), gradient);
            const twin = run(ops.deformableAttentionComposed, inputs, gradient);
            const fused = run(ops.deformableAttention, inputs, gradient);
            fused.forEach((value, i) => {
              expect(value.dtype).toBe(twin[i].dtype);
              expect(value.shape).toEqual(twin[i].shape);
              // Both compute in float32; results that leave in bfloat16 are rounded once, 2⁻⁹ of their size.
              // A sample on the edge of a cell may fall on either side of it: 1e-4 of the norm covers the float32 case.
              const bound = value.dtype === "bfloat16" ? 4e-3 : 1e-4;
              expect(relativeError(value, judge[i])).toBeLessThan(
                Math.max(bound, 1.5 * relativeError(twin[i], judge[i])),
              );
            });
          }),
      ),
      { numRuns: 80 },
    );
  });

  it("does the same from run to run", () => {
    const inputs = cast(
      make([[7, 5]], { batch: 2, heads: 3, channels: 16, queries: 40, points: 2, spread: 2 }),
      "bfloat16",
      "bfloat16",
      "float32",
    );
    const gradient = randn([2, 40, 48]);
    const [a, b] = [0, 1].map(() => run(ops.deformableAttention, inputs, gradient).map((t) => t.toList()));
    expect(a).toEqual(b);
  });

  it("hands NaN and infinite places on, to the query they belong to", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const inputs = make([[3, 3]], { batch: 1, heads: 1, channels: 4, queries: 3, points: 2, spread: 1 });
      inputs.offsets.select(1, 1).fill_(bad);
      const out = ops.deformableAttention(inputs.value, inputs.shapes, inputs.reference, inputs.offsets, inputs.logits);
      expect(out.isfinite().all(-1).flatten().toList()).toEqual([1, 0, 1]);
    }
  });

  it("says what shapes it wants", () => {
    const { value, shapes, reference, offsets, logits } = make([[2, 3]], {
      batch: 1,
      heads: 1,
      channels: 4,
      queries: 3,
      points: 2,
      spread: 1,
    });
    expect(() => ops.deformableAttention(value, [2, 4], reference, offsets, logits)).toThrow(
      /Expected 8 tokens in value/,
    );
    expect(() => ops.deformableAttention(value, shapes, reference, offsets, logits.narrow(1, 0, 2))).toThrow(
      /Expected logits of shape/,
    );
    expect(() => ops.deformableAttention(value, shapes, reference.to("int64"), offsets, logits)).toThrow(
      /floating-point reference/,
    );
  });
});
