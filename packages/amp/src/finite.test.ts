import { nn, Tensor, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { badGradients, gradientsFinite, nonFinite } from "./finite.js";

const parametersWith = (...gradients: (number[] | null)[]): [string, Tensor][] =>
  gradients.map((gradient, i) => {
    const p = nn.parameter(tensor(gradient ?? [0]));
    p.grad = gradient === null ? null : tensor(gradient);
    return [`p${i}`, p];
  });

describe("gradients", () => {
  it("are finite or not, whatever their number and size", () => {
    const value = fc.oneof(
      { weight: 12, arbitrary: fc.double({ min: -1e38, max: 1e38, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY) },
    );
    fc.assert(
      fc.property(fc.array(fc.option(fc.array(value, { minLength: 1, maxLength: 5 }))), (gradients) => {
        const named = parametersWith(...gradients);
        const bad = gradients.flatMap((g, i) => (g?.some((x) => !Number.isFinite(x)) ? [`p${i}`] : []));
        expect(gradientsFinite(named.map(([, p]) => p))).toBe(bad.length === 0);
        expect(badGradients(named).map((b) => b.name)).toEqual(bad);
      }),
      { numRuns: 60 },
    );
  });

  it("that are bad are counted", () => {
    expect(badGradients(parametersWith([1, 2], [Number.NaN, Number.NaN, Number.NEGATIVE_INFINITY, 1]))).toEqual([
      { name: "p1", nan: 2, infinite: 1, elements: 4 },
    ]);
  });
});

it("gradients of many parameters are read a few times, not one by one: each reading waits for a GPU", () => {
  const { item, toBits } = Tensor.prototype;
  let reads = 0;
  const counted = <T extends unknown[], R>(read: (this: Tensor, ...args: T) => R) =>
    function (this: Tensor, ...args: T): R {
      reads++;
      return read.apply(this, args);
    };
  Object.assign(Tensor.prototype, { item: counted(item), toBits: counted(toBits) });
  try {
    const named = parametersWith(...Array.from({ length: 40 }, (_, i) => [i % 2 === 0 ? Number.NaN : 1]));
    expect(badGradients(named)).toHaveLength(20);
  } finally {
    Object.assign(Tensor.prototype, { item, toBits });
  }
  expect(reads).toBe(3);
});

it("weights and inputs are named", () => {
  expect(
    nonFinite([
      ["a", tensor([1])],
      ["b", tensor([Number.NaN])],
      ["c", tensor([1], { dtype: "int64" })],
    ]),
  ).toEqual(["b"]);
});
