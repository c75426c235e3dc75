import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decode } from "../../pictures/picture.js";
import { cutTile } from "../../predict/tiles.js";
import { blackPng } from "../../testing/black-png.js";
import { decodeFile } from "./decode.js";
import type { RgbPixels } from "./rgb.js";

/** Of `tools/reference/avif_goldens.py`. */
interface TurnedAvif {
  file: string;
  orientation: number;
  stored: [width: number, height: number, quarters: string];
  upright: [width: number, height: number, quarters: string];
}

let root: string;
const at = (name: string): string => join(root, name);
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "decode-"));
});
afterAll(() => rmSync(root, { recursive: true }));

describe("huge pictures", () => {
  it("of up to 268 megapixels are decoded smaller, in bounded memory", async () => {
    writeFileSync(at("huge.png"), blackPng(16383, 16383));
    const before = process.resourceUsage().maxRSS;
    const pixels = await decodeFile(at("huge.png"), { orientation: 6 });
    expect(pixels).toMatchObject({ width: 8192, height: 8192, original: { width: 16383, height: 16383 } });
    // Pixels and the turned copy have 384 MiB; all of the picture would have 768 MiB in each. RSS is in KiB.
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(600 << 10);
  });

  it("above are refused with the limit and the way round", async () => {
    const bytes = blackPng(8, 8);
    bytes.writeUInt32BE(17000, 16);
    bytes.writeUInt32BE(17000, 20);
    writeFileSync(at("above.png"), bytes);
    await expect(decodeFile(at("above.png"))).rejects.toThrow(
      /at most 268 megapixels but .*above\.png has 289 \(17000×17000\): scale it down, or cut it into tiles/,
    );
  });

  it("of up to 67 megapixels have every pixel", async () => {
    writeFileSync(at("wide.png"), blackPng(60000, 100));
    expect(await decodeFile(at("wide.png"))).toMatchObject({ width: 60000, height: 100 });
  });
});

describe("a turned AVIF", () => {
  const turned = JSON.parse(readFileSync(new URL("fixtures/avif-turned.json", import.meta.url), "utf8"));
  const colours = { R: [255, 0, 0], G: [0, 255, 0], B: [0, 0, 255], W: [255, 255, 255] };
  /** Size, and the colours of the quarters. */
  const seen = ({ data, width, height }: RgbPixels) => {
    const distance = (colour: readonly number[], at: number) =>
      colour.reduce((sum, value, i) => sum + Math.abs(value - data[at + i]), 0);
    const quarters = [1, 3].flatMap((y) =>
      [1, 3].map((x) => {
        const at = (((y * height) >> 2) * width + ((x * width) >> 2)) * 3;
        return Object.entries(colours).sort(([, a], [, b]) => distance(a, at) - distance(b, at))[0][0];
      }),
    );
    return [width, height, quarters.join("")];
  };

  it.each(turned.cases as TurnedAvif[])("is read as Pillow reads it: $orientation", async (each) => {
    writeFileSync(at("turned.avif"), Buffer.from(each.file, "base64"));
    expect(seen(await decodeFile(at("turned.avif")))).toEqual(each.stored);
    expect(seen(await decodeFile(at("turned.avif"), { orientation: each.orientation }))).toEqual(each.upright);
    expect(seen(await decode(at("turned.avif")))).toEqual(each.upright);
    expect(seen(await decode(at("turned.avif"), false))).toEqual(each.stored);
  });

  it.each(turned.cases as TurnedAvif[])("has parts that are those of the whole: $orientation", async ({ file }) => {
    const bytes = Buffer.from(file, "base64");
    for (const autoOrient of [true, false]) {
      const whole = await decode(bytes, autoOrient);
      const [left, top, width, height] = [3, 5, 20, 30];
      const part = await decode(bytes, autoOrient, 0, { left, top, width, height });
      const expected = cutTile(whole, [left, top, left + width, top + height]);
      expect([part.width, part.height, part.original]).toEqual([width, height, { width, height }]);
      expect(Buffer.compare(part.data, expected.data)).toBe(0);
    }
  });
});

// Pillow's convert("RGB") leaves the values of a picture with a profile as they are.
it.each(["png", "webp", "tiff"] as const)("keeps the values of a %s with a colour profile", async (format) => {
  const values = Buffer.from([250, 10, 10, 10, 200, 30, 128, 128, 128, 3, 60, 240]);
  const plain = sharp(values, { raw: { width: 2, height: 2, channels: 3 } });
  const file = await plain.toFormat(format, { lossless: true }).keepIccProfile().toBuffer();
  const wide = await sharp(file).withIccProfile("p3").toFormat(format, { lossless: true }).toBuffer();
  expect((await sharp(wide).metadata()).icc).toBeDefined();
  const stored = await sharp(wide, { ignoreIcc: true }).raw().toBuffer();
  writeFileSync(at(`wide.${format}`), wide);
  const { data } = await decodeFile(at(`wide.${format}`));
  expect([...data]).toEqual([...stored]);
  expect([...data]).not.toEqual([...values]);
});
