import { describe, expect, it } from "vitest";
import { encodeMask, type Mask } from "../../masks/mask.js";
import { paletteColor } from "../../support/class-colors.js";
import type { LabelledBox } from "./box-overlay.js";
import { draw } from "./draw.js";
import { paintMasks } from "./mask-layer.js";

const grey = (width: number, height: number) => ({
  data: new Uint8Array(width * height * 3).fill(128),
  width,
  height,
  channels: 3 as const,
});

function pixel(image: { data: Uint8Array; width: number }, x: number, y: number): string {
  const at = (y * image.width + x) * 3;
  return `#${Buffer.from(image.data.subarray(at, at + 3)).toString("hex")}`;
}

/** A rectangle as a mask. */
function filled(width: number, height: number, [left, top, right, bottom]: number[]): Mask {
  const bits = new Uint8Array(width * height);
  for (let y = top; y < bottom; y++) bits.fill(1, y * width + left, y * width + right);
  return encodeMask(bits, height, width);
}

const found = (mask: Mask, more: Partial<LabelledBox> = {}): LabelledBox => ({
  box: [0, 0, 1, 1],
  score: 0.5,
  classId: 0,
  mask,
  ...more,
});

/** The colour of a class at 45 % over grey. */
const inside = (classId: number): string => {
  const channels = Buffer.from(paletteColor(classId).slice(1), "hex");
  return `#${Buffer.from(channels.map((value) => Math.round(128 * 0.55 + value * 0.45))).toString("hex")}`;
};

describe("masks on a picture", () => {
  it("have the class colour: half transparent inside, opaque at the edge", () => {
    const drawn = paintMasks(grey(40, 30), [found(filled(40, 30, [10, 5, 30, 25]))]);
    expect(pixel(drawn, 20, 15)).toBe(inside(0));
    for (const [x, y] of [
      [10, 15],
      [29, 15],
      [20, 5],
      [20, 24],
    ])
      expect(pixel(drawn, x, y)).toBe(paletteColor(0));
    for (const [x, y] of [
      [9, 15],
      [30, 15],
      [20, 4],
      [20, 25],
    ])
      expect(pixel(drawn, x, y)).toBe("#808080");
  });

  it("have no edge where the object goes on outside of the picture", () => {
    const drawn = paintMasks(grey(40, 30), [found(filled(40, 30, [0, 0, 40, 20]))]);
    for (const [x, y] of [
      [0, 10],
      [39, 10],
      [20, 0],
    ])
      expect(pixel(drawn, x, y)).toBe(inside(0));
    expect(pixel(drawn, 20, 19)).toBe(paletteColor(0));
  });

  it("have the colour of the better one alone where two overlap, in any order", () => {
    const [worse, better] = [
      found(filled(40, 30, [0, 0, 30, 30]), { score: 0.4, classId: 0 }),
      found(filled(40, 30, [10, 0, 40, 30]), { score: 0.6, classId: 1 }),
    ];
    for (const order of [
      [worse, better],
      [better, worse],
    ]) {
      const drawn = paintMasks(grey(40, 30), order);
      expect(pixel(drawn, 20, 15)).toBe(inside(1));
      expect(pixel(drawn, 4, 15)).toBe(inside(0));
    }
  });

  it("are scaled to the picture, and drawn below its boxes", async () => {
    const mask = filled(400, 300, [100, 50, 300, 250]);
    const drawn = paintMasks(grey(40, 30), [found(mask)]);
    expect([pixel(drawn, 10, 15), pixel(drawn, 9, 15), pixel(drawn, 20, 15)]).toEqual([
      paletteColor(0),
      "#808080",
      inside(0),
    ]);
    const whole = await draw(grey(40, 30), [found(mask, { box: [12, 7, 28, 23] })], { labels: false, lineWidth: 2 });
    expect([pixel(whole, 20, 15), pixel(whole, 12, 15)]).toEqual([inside(0), paletteColor(0)]);
  });

  it("have their edge alone where the box is faint", () => {
    const drawn = paintMasks(grey(40, 30), [found(filled(40, 30, [10, 5, 30, 25]), { look: "faint" })]);
    expect([pixel(drawn, 20, 15), pixel(drawn, 10, 15)]).toEqual(["#808080", paletteColor(0)]);
  });

  it("may have one pixel or none, and leave the given pixels alone", () => {
    const picture = { ...grey(1, 1), data: Buffer.alloc(3, 128) };
    expect(pixel(paintMasks(picture, [found(filled(1, 1, [0, 0, 1, 1]))]), 0, 0)).toBe(inside(0));
    expect(pixel(paintMasks(picture, [found(filled(1, 1, [0, 0, 0, 0]))]), 0, 0)).toBe("#808080");
    expect(pixel(picture, 0, 0)).toBe("#808080");
    expect(paintMasks(picture, [{ box: [0, 0, 1, 1], classId: 0 }])).toBe(picture);
  });
});
