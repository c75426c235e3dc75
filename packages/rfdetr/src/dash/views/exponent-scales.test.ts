// Where the columns of watched steps lie in the chart of exponents, which the page draws.
import { describe, expect, it } from "vitest";
import { scalesOf } from "../../../dash/exponent-scales.js";

const scales = (...steps: number[]) => {
  const map = { path: "a", side: "forward" as const, first: -8, rows: 4, steps, shares: [], amax: [], largest: [] };
  const [top, dtypes] = [steps.map(() => -4), steps.map(() => "float32" as const)];
  return scalesOf({ map, top, dtypes, dtype: "float32", at: 0, forecast: null }, 800, 300);
};

describe("the chart of exponents", () => {
  it("has no step below 0, however far the second watched step is from the first", () => {
    for (const steps of [[1], [1, 200], [1, 200, 400], [1, 3, 6, 9]])
      expect(scales(...steps).from).toBeGreaterThanOrEqual(0);
  });

  it("gives every watched step a column, with its edges half-way to its neighbours", () => {
    expect(scales(1, 200).edges).toEqual([0, 100.5, 200]);
    expect(scales(10, 20, 30).edges).toEqual([5, 15, 25, 30]);
    const [begin, end] = scales(1).edges;
    expect(end).toBeGreaterThan(begin);
  });
});
