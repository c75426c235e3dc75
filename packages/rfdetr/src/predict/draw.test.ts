import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { classColor, readableOn } from "./class-colors.js";
import { boxOverlay, draw, drawDetections, type LabelledBox, mosaic } from "./draw.js";
import { decode } from "./picture.js";
import { strokeText, textWidth } from "./stroke-font.js";

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
      expect(pixel(drawn, x, y)).toBe(classColor(1));
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
    expect(above.has(classColor(1))).toBe(true);
    expect(above.has(readableOn(classColor(1)))).toBe(true);
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
  it("stay inside the image whatever the boxes are", () => {
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
    fc.assert(
      fc.property(
        fc.integer({ min: 120, max: 350 }),
        fc.integer({ min: 60, max: 350 }),
        fc.array(detection, { maxLength: 12 }),
        (width, height, boxes) => {
          const svg = boxOverlay(width, height, boxes) ?? "";
          expect(svg).not.toMatch(/NaN|Infinity|undefined/);
          for (const [, x, y, w, h] of svg.matchAll(
            /<rect x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"/g,
          )) {
            expect(Math.min(Number(x), Number(y), Number(w), Number(h))).toBeGreaterThanOrEqual(0);
            // Coordinates are printed with two decimals.
            expect(Number(y) + Number(h)).toBeLessThanOrEqual(height + 0.02);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("avoid each other where there is room", () => {
    const svg = boxOverlay(400, 400, [fox, { ...fox, score: 0.5 }]) as string;
    const grounds = [
      ...svg.matchAll(/<rect x="([^"]+)" y="([^"]+)" width="[^"]+" height="[^"]+" rx="[^"]+" fill="#/g),
    ].map(([, x, y]) => `${x} ${y}`);
    expect(new Set(grounds).size).toBe(2);
  });

  it("need no font for printable ASCII and accented letters, and leave only other characters to the machine", () => {
    const ascii = String.fromCharCode(...Array.from({ length: 95 }, (_, i) => 32 + i));
    expect(strokeText(0, 0, `${ascii} café`, 16, "#000")).not.toContain("<text");
    const mixed = strokeText(0, 0, "犬 0.71", 16, "#000");
    expect(mixed.match(/<text[^>]*>[^<]*<\/text>/g)?.map((element) => element.replace(/<[^>]*>/g, ""))).toEqual(["犬"]);
    expect(mixed.match(/<path/g)?.length).toBe(4);
    expect(strokeText(0, 0, "강", 16, "#000")).toContain("강");
    expect(textWidth("mm", 16)).toBeGreaterThan(textWidth("ii", 16));
    expect(textWidth("abc", 32)).toBeCloseTo(2 * textWidth("abc", 16), 10);
  });

  it("are black or white, whichever contrasts", () => {
    expect([readableOn("#ffff00"), readableOn("#000080")]).toEqual(["#000000", "#ffffff"]);
    for (let id = 0; id < 300; id++) expect(classColor(id)).toMatch(/^#[0-9a-f]{6}$/);
    expect(new Set(Array.from({ length: 80 }, (_, id) => classColor(id))).size).toBe(80);
  });
});

describe("mosaic", () => {
  it("puts scaled pictures and captions on a grid", async () => {
    const tiles = [{ image: grey(200, 100, 0), caption: "truth" }, grey(100, 200, 255), grey(10, 10, 7)];
    const { data, info } = await sharp(await mosaic(tiles, { columns: 2, tileSize: 100, gap: 4 }))
      .raw()
      .toBuffer({ resolveWithObject: true });
    // Two columns and rows of 100 px, captions of 1.5 * 12 px.
    expect([info.width, info.height]).toEqual([4 + 2 * 104, 4 + 2 * (100 + 18 + 4)]);
    const at = (x: number, y: number) => pixel({ data, width: info.width }, x, y);
    expect([at(10, 30), at(54, 100), at(158, 30), at(5, 150)]).toEqual(["#000000", "#eef0f2", "#ffffff", "#eef0f2"]);
  });

  it("of nothing is an empty ground", async () => {
    expect((await sharp(await mosaic([])).metadata()).width).toBeGreaterThan(0);
  });
});
