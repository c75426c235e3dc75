import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { classColors, linear, luminance, paletteColor, readableOn } from "./class-colors.js";

const coco = Array.from({ length: 80 }, (_, i) => `class ${i}`);

describe("class colours", () => {
  it("depend on the place of a class, not on its name or number of mentions", () => {
    const [first, second] = classColors(["fox", "owl"]);
    expect(classColors(["owl", "fox", "owl"])).toEqual([first, second, first]);
    expect(classColors(coco).slice(0, 2)).toEqual([first, second]);
    expect(classColors(coco)).toEqual(coco.map((_, place) => paletteColor(place)));
    expect(classColors([])).toEqual([]);
  });

  it("differ for different names", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 120 }), (names) => {
        expect(new Set(classColors(names)).size).toBe(names.length);
      }),
    );
    expect(new Set(Array.from({ length: 1000 }, (_, place) => paletteColor(place))).size).toBeGreaterThan(980);
  });

  it("stand out on white and on black pages, and carry text", () => {
    for (const color of [...classColors(coco), ...classColors(["a", "b", "c", "d", "e", "f", "g", "h"])]) {
      expect(color).toMatch(/^#[0-9a-f]{6}$/);
      expect(contrast(color, "#ffffff")).toBeGreaterThan(2.5);
      expect(contrast(color, "#0d1117")).toBeGreaterThan(3);
      expect(contrast(color, readableOn(color))).toBeGreaterThan(4.5);
    }
    expect([readableOn("#ffff00"), readableOn("#000080")]).toEqual(["#000000", "#ffffff"]);
  });

  it("of the first three differ most", () => {
    const least = (count: number): number => {
      const colors = Array.from({ length: count }, (_, place) => light(paletteColor(place)));
      return Math.min(...colors.flatMap((a, i) => colors.slice(0, i).map((b) => distance(a, b))));
    };
    expect(least(3)).toBeGreaterThan(28);
    expect(least(4)).toBeGreaterThan(17);
  });

  it("of the first eight can be told apart with each kind of colour blindness", () => {
    const colors = Array.from({ length: 8 }, (_, place) => paletteColor(place));
    for (const [kind, seen] of Object.entries(vision))
      for (const [i, a] of colors.entries())
        for (const b of colors.slice(0, i)) expect(distance(seen(a), seen(b)), `${kind}: ${a} ${b}`).toBeGreaterThan(9);
  });
});

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

type Rgb = readonly number[];
const light = (color: string): Rgb => [1, 3, 5].map((at) => linear(Number.parseInt(color.slice(at, at + 2), 16) / 255));
const times = (matrix: readonly number[], [r, g, b]: Rgb): Rgb =>
  [0, 3, 6].map((row) => matrix[row] * r + matrix[row + 1] * g + matrix[row + 2] * b);

/** Machado, Oliveira and Fernandes 2009, severity 1, on linear light. */
const vision: Record<string, (color: string) => Rgb> = {
  normal: light,
  protanopia: (color) =>
    times([0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998], light(color)),
  deuteranopia: (color) =>
    times([0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881], light(color)),
  tritanopia: (color) =>
    times([1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039], light(color)),
};

/** Distance in OKLab, a hundred from black to white: two is the smallest that is seen side by side. */
function distance(a: Rgb, b: Rgb): number {
  const [p, q] = [oklab(a), oklab(b)];
  return 100 * Math.hypot(...p.map((value, i) => value - q[i]));
}

function oklab(rgb: Rgb): Rgb {
  const cones = times(
    [
      0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2817188376,
      0.6299787005,
    ],
    rgb,
  ).map((value) => Math.cbrt(value));
  return times(
    [
      0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371, 0.7827717662,
      -0.808675766,
    ],
    cones,
  );
}
