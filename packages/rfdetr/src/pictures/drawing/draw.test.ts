import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classColors, paletteColor, readableOn } from "../../support/class-colors.js";
import { decode } from "../picture.js";
import { boxOverlay } from "./box-overlay.js";
import { draw, drawDetections, type LabelledBox } from "./draw.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "draw-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const grey = (width: number, height: number, value = 128) => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
  channels: 3 as const,
});

function pixel(image: { data: Uint8Array; width: number }, x: number, y: number): string {
  const at = (y * image.width + x) * 3;
  return `#${Buffer.from(image.data.subarray(at, at + 3)).toString("hex")}`;
}

const fox: LabelledBox = { box: [40, 60, 160, 180], score: 0.876, classId: 1, className: "fox" };

describe("drawDetections", () => {
  it("draws the box in the colour of its class and leaves the rest alone", async () => {
    const drawn = await draw(grey(200, 200), [fox], { lineWidth: 4 });
    for (const [x, y] of [
      [40, 150],
      [160, 150],
      [100, 180],
    ])
      expect(pixel(drawn, x, y)).toBe(paletteColor(1));
    for (const [x, y] of [
      [100, 120],
      [20, 150],
      [180, 20],
    ])
      expect(pixel(drawn, x, y)).toBe("#808080");
  });

  it("puts class and score above the box", async () => {
    const drawn = await draw(grey(200, 200), [fox], { lineWidth: 4, fontSize: 20 });
    const above = new Set<string>();
    for (let y = 34; y < 57; y++) for (let x = 42; x < 110; x++) above.add(pixel(drawn, x, y));
    expect(above.has(paletteColor(1))).toBe(true);
    expect(above.has(readableOn(paletteColor(1)))).toBe(true);
    const without = await draw(grey(200, 200), [fox], { lineWidth: 4, labels: false });
    expect(pixel(without, 60, 45)).toBe("#808080");
  });

  it("reads grey, transparent, CMYK and 16-bit images as RGB", async () => {
    const base = sharp(grey(60, 40).data, { raw: { width: 60, height: 40, channels: 3 } });
    const inputs = [
      await base.clone().toColourspace("b-w").png().toBuffer(),
      await base.clone().ensureAlpha(0.5).png().toBuffer(),
      await base.clone().toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer(),
      await base.clone().toColourspace("rgb16").png().toBuffer(),
      { data: new Uint8Array(60 * 40).fill(128), width: 60, height: 40, channels: 1 as const },
    ];
    for (const input of inputs) {
      const image = await decode(input);
      expect(image.data.length).toBe(60 * 40 * 3);
      // sharp separates CMYK for a press profile, and it is read without one.
      for (const value of image.data.subarray(0, 3)) expect(Math.abs(value - 128)).toBeLessThan(40);
    }
  });

  it("writes the format that the file name asks for", async () => {
    for (const [name, format] of [
      ["a.png", "png"],
      ["a.jpg", "jpeg"],
      ["a.webp", "webp"],
    ]) {
      const out = join(folder, name);
      const buffer = await drawDetections(grey(64, 48), [fox], { out });
      expect(readFileSync(out)).toEqual(buffer);
      expect(await sharp(buffer).metadata()).toMatchObject({ format, width: 64, height: 48 });
    }
  });

  it("never replaces the image that it draws into, nor what a link at the output leads to", async () => {
    const image = join(folder, "photo.png");
    writeFileSync(
      image,
      await sharp(grey(8, 8).data, { raw: { width: 8, height: 8, channels: 3 } })
        .png()
        .toBuffer(),
    );
    const original = readFileSync(image);
    const link = join(folder, "link.png");
    symlinkSync("photo.png", link);
    for (const out of [image, link])
      await expect(drawDetections(image, [fox], { out })).rejects.toThrow(
        "Expected another file than the image for out",
      );
    await drawDetections(grey(8, 8), [fox], { out: link });
    expect(readFileSync(image)).toEqual(original);
    expect(lstatSync(link).isSymbolicLink()).toBe(false);
  });

  it("turns the image upright, unless it is told to keep the stored pixels", async () => {
    const sideways = await sharp(grey(60, 40).data, { raw: { width: 60, height: 40, channels: 3 } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    expect(await draw(sideways, [])).toMatchObject({ width: 40, height: 60 });
    expect(await draw(sideways, [], { autoOrient: false })).toMatchObject({ width: 60, height: 40 });
  });

  it("says what is wrong with input and output", async () => {
    const missing = join(folder, "missing.jpg");
    await expect(drawDetections(missing, [])).rejects.toThrow(
      `Expected a readable image but ${missing} cannot be read: there is no such file`,
    );
    await expect(drawDetections({ ...grey(8, 8), width: 9 }, [])).rejects.toThrow(
      "9×8 pixels of 3 channels need 216 bytes, not 192",
    );
    await expect(drawDetections(grey(20000, 1), [], { out: join(folder, "a.webp") })).rejects.toMatchObject({
      code: "ERR_PICTURE_OUTPUT",
      message: expect.stringMatching(/as webp but encoding failed: .*too large/),
    });
    await expect(drawDetections(grey(8, 8), [], { out: join(folder, "a.tga") })).rejects.toMatchObject({
      code: "ERR_PICTURE_OUTPUT",
    });
    await expect(drawDetections(grey(8, 8), [], { out: join(folder, "no", "a.png") })).rejects.toThrow(
      "Expected a writable file at",
    );
  });
});

describe("labels", () => {
  it("stay inside the image whatever the boxes are", async () => {
    const coordinate = fc.oneof(
      fc.integer({ min: -50, max: 400 }),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1e9, 1e9),
    );
    const detection = fc.record({
      box: fc.tuple(coordinate, coordinate, coordinate, coordinate),
      score: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
      classId: fc.integer({ min: 0, max: 200 }),
      className: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 16, max: 350 }),
        fc.integer({ min: 16, max: 350 }),
        fc.array(detection, { maxLength: 12 }),
        async (width, height, boxes) => {
          const svg = (await boxOverlay(width, height, boxes)) ?? "";
          expect(svg).not.toMatch(/NaN|Infinity|undefined/);
          for (const [, x, y, w, h] of svg.matchAll(
            /<rect x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"/g,
          )) {
            expect(Math.min(Number(x), Number(y), Number(w), Number(h))).toBeGreaterThanOrEqual(0);
            // Coordinates are printed with two decimals.
            expect(Number(y) + Number(h)).toBeLessThanOrEqual(height + 0.02);
            expect(Number(x) + Number(w)).toBeLessThanOrEqual(width + 0.02);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  const grounds = (svg = "") =>
    [...svg.matchAll(/<rect x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)" rx="[^"]+" fill="#/g)].map(
      ([, ...numbers]) => numbers.map(Number),
    );

  it("avoid each other where there is room, however many boxes are at one place", async () => {
    const same = Array.from({ length: 8 }, (_, i) => ({ ...fox, score: 0.9 - i / 10 }));
    const places = grounds(await boxOverlay(400, 400, same));
    expect(places.length).toBe(8);
    for (const [i, [x, y, w, h]] of places.entries())
      for (const [x2, y2, w2, h2] of places.slice(0, i))
        expect(x + w <= x2 + 0.05 || x2 + w2 <= x + 0.05 || y + h <= y2 + 0.05 || y2 + h2 <= y + 0.05).toBe(true);
  });

  it("grow with the picture, less than it does, and are never smaller than can be read", async () => {
    const heights: number[] = [];
    for (const side of [64, 640, 8000]) {
      const [[, , , height]] = grounds(
        await boxOverlay(side, side, [{ ...fox, box: [side / 4, side / 2, side, side] }]),
      );
      heights.push(height);
    }
    expect(heights[0]).toBeGreaterThan(12);
    expect(heights[0]).toBeLessThan(16);
    expect(heights[1]).toBeGreaterThan(22);
    expect(heights[2]).toBeGreaterThan(8000 / 60);
    expect(heights[2]).toBeLessThan(8000 / 40);
  });

  it("of long names end in dots before they leave the picture or get too small to read", async () => {
    const name = "a class with a name that goes on and on, longer than any label";
    const [[x, , width, height]] = grounds(await boxOverlay(120, 90, [{ ...fox, className: name }]));
    expect(x + width).toBeLessThanOrEqual(120.05);
    expect(height).toBeGreaterThan(12);
  });

  it("have the colour of the class in the list of all classes, else of its number", async () => {
    const classNames = ["owl", "fox"];
    const [, foxColor] = classColors(classNames);
    expect(await boxOverlay(200, 200, [fox], { classNames })).toContain(`fill="${foxColor}"`);
    expect(await boxOverlay(200, 200, [{ box: fox.box, classId: 1 }], { classNames })).toContain(foxColor);
    expect(await boxOverlay(200, 200, [fox])).toContain(`fill="${paletteColor(1)}"`);
  });

  it("are left out of faint boxes", async () => {
    const svg = await boxOverlay(200, 200, [{ ...fox, look: "faint" }]);
    expect(grounds(svg)).toEqual([]);
    expect(await boxOverlay(200, 200, [{ ...fox, look: "dashed" }])).toContain("stroke-dasharray");
  });
});
