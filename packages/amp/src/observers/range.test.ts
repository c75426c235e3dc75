import { randn, scope, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addRange, compactExponents, largestOf, lostShares, rangeOf } from "./range.js";

const of = (values: number[], dtype: "float32" | "float16" | "bfloat16" | "float64" = "float32") =>
  scope(() => rangeOf(tensor(values).to(dtype)));

describe("range", () => {
  it("finds extremes and exponents", () => {
    const range = of([0, 1, -3, 0.25]);
    expect([range.min, range.max, range.amax, range.zeros, range.elements]).toEqual([-3, 1, 3, 1, 4]);
    expect(compactExponents(range)).toEqual({ first: -2, counts: [1, 0, 1, 1] });
  });

  it("counts what float16 would flush, keep with fewer bits, or push to infinity", () => {
    expect(lostShares(of([2 ** -26, 2 ** -20, 2 ** -14, 1, 65504, 65536, 0, 1e-40]))).toEqual({
      nonFinite: 0,
      fp16Flush: 2 / 8,
      fp16Subnormal: 1 / 8,
      fp16Saturate: 1 / 8,
      bf16Flush: 1 / 8,
    });
  });

  it("counts what is not finite", () => {
    const range = of([1, Number.NaN, Number.POSITIVE_INFINITY, 2]);
    expect(lostShares(range).nonFinite).toBe(0.5);
    expect(range.amax).toBeNaN();
    expect(of([1, Number.NEGATIVE_INFINITY]).amax).toBe(Number.POSITIVE_INFINITY);
  });

  it.each(["float16", "bfloat16", "float64"] as const)("reads %s", (dtype) => {
    expect(compactExponents(of([1, 2, -4], dtype))).toEqual({ first: 0, counts: [1, 1, 1] });
  });

  it("of nothing is nothing", () => {
    expect(of([])).toMatchObject({ amax: 0, elements: 0, sampled: 0 });
    expect(compactExponents(of([]))).toEqual({ first: 0, counts: [] });
  });

  it("samples large tensors, with exact extremes", () => {
    scope(() => {
      const x = randn([300, 1000]);
      x.flatten().narrow(0, 12345, 1).fill_(1000);
      const range = rangeOf(x);
      expect(range.amax).toBe(1000);
      expect(range.sampled).toBeGreaterThan(30_000);
      expect(range.sampled).toBeLessThan(70_000);
    });
  });

  it.each(["float32", "float16", "bfloat16", "float64"] as const)("finds the largest value of a %s tensor", (dtype) => {
    const value = fc.constantFrom(
      -3,
      -2,
      -1,
      0,
      1,
      2,
      3,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    );
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        (values, columns) => {
          const rows = values.map((first) =>
            Array.from({ length: columns }, (_, i) => (i === columns - 1 ? first : 0)),
          );
          const found = scope(() => {
            const x = tensor(rows).to(dtype);
            return largestOf(x, rangeOf(x));
          });
          const size = (x: number): number => (Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.abs(x));
          const [row, column] = found.index;
          expect(rows[row][column]).toBe(found.value);
          if (values.some(Number.isNaN)) expect(found.value).toBeNaN();
          else expect(Math.abs(found.value)).toBe(Math.max(...values.map(size)));
          expect(rows.flat().slice(0, row * columns + column)).not.toContain(found.value);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("exponents are those of Math.log2, and two tensors add up", () => {
    const value = fc
      .double({ min: -1e30, max: 1e30, noNaN: true })
      .map(Math.fround)
      .filter((x) => Math.abs(x) > 1e-30);
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 20 }),
        fc.array(value, { minLength: 1, maxLength: 20 }),
        (a, b) => {
          const range = of(a);
          const first = Math.min(...a.map((x) => exponent(x)));
          expect(compactExponents(range).first).toBe(first);
          const all = of([...a, ...b]);
          addRange(range, of(b));
          expect(range).toEqual(all);
        },
      ),
      { numRuns: 40 },
    );
  });
});

/** floor(log2|x|) from the bits, since Math.log2 rounds just below powers of two. */
function exponent(x: number): number {
  return ((new Uint32Array(new Float32Array([x]).buffer)[0] >>> 23) & 255) - 127;
}
