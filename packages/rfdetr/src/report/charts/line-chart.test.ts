import { describe, expect, it } from "vitest";
import { lineChart } from "./line-chart.js";

const drawn = (y: number[]) =>
  lineChart({ alt: "", xLabel: "step", yLabel: "loss", curves: [{ x: y.map((_, i) => i), y, series: 0 }] })?.text ?? "";

describe("a chart of lines", () => {
  it("draws a point that stands alone as a dot, and others as lines", () => {
    expect(drawn([4]).match(/<circle/g)).toHaveLength(1);
    const gaps = drawn([1, Number.NaN, 3, 4, Number.NaN, 6]);
    expect(gaps.match(/<circle class="f0"/g)).toHaveLength(2);
    expect(gaps.match(/class="line s0" d="(M[^LM"]+L[^LM"]+)"/)).not.toBeNull();
    expect(drawn([1, 2, 3])).not.toContain("<circle");
  });
});
