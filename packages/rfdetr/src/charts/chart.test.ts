import { describe, expect, it } from "vitest";
import { drawBars } from "./bars.js";
import { axesOf, drawChart, type Line, roomOf } from "./chart.js";
import { legendRow } from "./legend.js";
import { darkStyle, roughWidth } from "./svg.js";

const area = { left: 60, top: 10, width: 300, height: 200 };
const lineOf = (y: (number | null)[], more: Partial<Line> = {}): Line => ({
  color: 0,
  x: y.map((_, i) => i),
  y,
  ...more,
});
const drawn = (lines: Line[], scales: Parameters<typeof axesOf>[1] = {}): string => {
  const axes = axesOf(lines, scales);
  return axes === null ? "" : drawChart(area, { ...axes, lines }).join("\n");
};

describe("a chart of lines", () => {
  it("draws a point that stands alone as a dot, and others as lines", () => {
    expect(drawn([lineOf([4])]).match(/<circle/g)).toHaveLength(1);
    const gaps = drawn([lineOf([1, null, 3, 4, Number.NaN, 6])]);
    expect(gaps.match(/<circle[^>]*class="f-fill0"/g)).toHaveLength(2);
    expect(gaps).toMatch(/<path d="[^"]*M[^LM"]+L[^LM"]+M[^"]*" fill="none" class="f-stroke0"/);
    expect(drawn([lineOf([1, 2, 3])])).not.toContain("<circle");
  });

  it("has the only point in its middle, large enough to be seen, above its number alone", () => {
    const only = drawn([lineOf([4], { x: [3] })]);
    expect(only).toContain('<circle cx="210"');
    expect(only).toMatch(/<circle[^>]* r="4"/);
    expect(axesOf([lineOf([4], { x: [3] })])?.x).toMatchObject({ from: 2.5, to: 3.5, ticks: [3] });
    expect(axesOf([lineOf([4], { x: [0.2] })], { counts: false })?.x).toMatchObject({
      from: 0.1,
      to: expect.closeTo(0.3),
    });
  });

  it("tells series apart without colour, and gives each a colour for dark pages", () => {
    const dashes = [0, 1, 2].map(
      (color) => drawn([lineOf([1, 2], { color })]).match(/stroke-width="2".*dasharray="([^"]*)"/)?.[1],
    );
    expect(dashes).toEqual([undefined, "7 4", "2 3"]);
    for (const color of [0, 7, 8])
      expect(darkStyle).toContain(drawn([lineOf([1, 2], { color })]).match(/f-stroke\d/)?.[0]);
  });

  it("draws steps, the extremes about a line, and nothing where there is no point", () => {
    expect(drawn([lineOf([1, 2, 2], { steps: true })])).toMatch(/d="M[\d. ]+H[\d.]+V[\d.]+H[\d.]+V[\d.]+"/);
    expect(drawn([lineOf([2, 2], { low: [1, 1], high: [4, 4] })])).toMatch(/d="M60 10L360 10L360 210L60 210Z"/);
    expect(axesOf([lineOf([null, Number.NaN])])).toBeNull();
    expect(axesOf([lineOf([-1, 0])], { scale: "log" })).toBeNull();
  });

  it("has room for its numbers and its label where it says so", () => {
    const axes = axesOf([lineOf([-123_456, 0])], { yLabel: "loss" });
    if (axes === null) throw new Error("Expected axes");
    const left = roomOf(axes.y);
    const parts = drawChart({ ...area, left }, { ...axes, lines: [] });
    const label = Number(parts.find((part) => part.endsWith(">loss</text>"))?.match(/x="([^"]+)"/)?.[1]);
    const widest = Math.max(...axes.y.ticks.map((tick) => roughWidth(axes.y.write(tick), 13)));
    expect(label).toBeGreaterThanOrEqual(13);
    expect(label).toBeLessThan(left - 7 - widest);
  });

  it("writes the words of a limit on its line, below it, or above a line that stands", () => {
    const axes = axesOf([lineOf([0, 10])]);
    if (axes === null) throw new Error("Expected axes");
    const limits = [
      { y: 5, label: "on" },
      { y: 5, label: "below", below: true },
      { x: 1, label: "above" },
    ];
    const parts = drawChart(area, { ...axes, lines: [], limits });
    const at = (label: string) =>
      Number(parts.find((part) => part.endsWith(`>${label}</text>`))?.match(/ y="([^"]+)"/)?.[1]);
    expect([at("on") < 110, at("below") > 110, at("above") < area.top]).toEqual([true, true, true]);
  });
});

describe("bars and legends", () => {
  it("keep words within their width, however long names are", () => {
    const rows = [{ name: "a name that is much too long for this".repeat(3), values: [3], words: ["3.00 MiB, 100 %"] }];
    const { parts } = drawBars({ left: 0, top: 0, width: 440 }, rows, [0], "bytes");
    for (const part of parts) {
      const [, x, words] = /<text x="([^"]+)".*>([^<]*)<\/text>/.exec(part) ?? ["", "0", ""];
      const width = roughWidth(words as string, 13);
      const from = part.includes('anchor="end"') ? Number(x) - width : Number(x);
      expect([from >= 0, from + width <= 440]).toEqual([true, true]);
    }
    expect(parts.at(-1)).toContain(">bytes</text>");
  });

  it("escape names", () => {
    expect(legendRow(0, 0, [{ color: 0, label: "<b>" }]).join("")).toContain("&lt;b&gt;");
  });
});
