import { describe, expect, it } from "vitest";
import { Histogram } from "./ranges.js";

const spread = Float32Array.from({ length: 20_000 }, (_, i) => i / 10_000 - 1);

describe("a histogram of an activation", () => {
  it("has the range of all elements, to a bin of a thousandth", () => {
    const histogram = new Histogram();
    histogram.add(spread);
    const { min, max } = histogram.percentile(0);
    expect(min).toBeCloseTo(-1, 2);
    expect(max).toBeCloseTo(1, 2);
  });

  it("leaves out the share of elements that is asked for, whatever their size and order", () => {
    for (const outliers of [
      [spread, Float32Array.of(1000, -5000)],
      [Float32Array.of(1000, -5000), spread],
    ]) {
      const histogram = new Histogram();
      for (const elements of outliers) histogram.add(elements);
      const { min, max } = histogram.percentile(3e-4);
      expect(min).toBeGreaterThan(-10);
      expect(max).toBeLessThan(10);
      expect(histogram.percentile(0).min).toBeLessThan(-4990);
    }
  });

  it("encloses zero", () => {
    const histogram = new Histogram();
    histogram.add(Float32Array.of(4, 5, 6));
    const { min, max } = histogram.percentile(0);
    expect(min).toBe(0);
    expect(max).toBeCloseTo(6, 1);
  });

  it("leaves out what is not finite", () => {
    const histogram = new Histogram();
    histogram.add(Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY));
    expect(histogram.percentile(0).max).toBeCloseTo(1, 2);
  });
});
