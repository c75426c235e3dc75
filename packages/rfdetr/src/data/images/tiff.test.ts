import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeFile } from "./decode.js";
import { pictureOnly } from "./tiff.js";

/** Of `tools/reference/tiff_goldens.py`: `rgb` is the number of a picture, or null where Pillow refuses the file. */
interface Goldens {
  pictures: string[];
  cases: { name: string; file: string; rgb: number | null }[];
}
const { pictures, cases }: Goldens = JSON.parse(readFileSync(new URL("fixtures/tiff.json", import.meta.url), "utf8"));

/** What Pillow reads and this program refuses, with what it says. */
const refused: Readonly<Record<string, RegExp>> = {
  "RGB zstd": /is compressed with Zstandard: save it with LZW compression, or as PNG/,
  "L zstd": /is compressed with Zstandard/,
  "RGB lzma": /is compressed with LZMA/,
  "L lzma": /is compressed with LZMA/,
  "YCbCr raw": /has YCbCr colours without JPEG compression: save it as RGB/,
  "YCbCr tiff_lzw": /has YCbCr colours without JPEG compression/,
  "YCbCr with fewer colours than pixels": /has YCbCr colours without JPEG compression/,
  "LAB raw": /has 3 unsigned samples of 8 bits a pixel \(CIE L\*a\*b\*\): save it as 8-bit RGB/,
  "signed 8-bit grey": /has 1 signed sample of 8 bits a pixel \(grey\)/,
  "signed 16-bit grey": /has 1 signed sample of 16 bits a pixel \(grey\)/,
};

/** What Pillow refuses too, with more than that it does not decode. */
const named: Readonly<Record<string, RegExp>> = {
  "JPEG 2000": /is compressed with JPEG 2000/,
  "a compression that nobody knows": /is compressed with compression 12345/,
  "float RGB": /has 3 floating-point samples of 32 bits a pixel \(RGB\)/,
  "16-bit float grey": /has 1 floating-point sample of 16 bits a pixel \(grey\)/,
  "16-bit palette": /has 1 unsigned sample of 16 bits a pixel \(palette\)/,
  "three samples of grey": /has 3 unsigned samples of 8 bits a pixel \(grey\)/,
  "ICC L*a*b*": /has 3 unsigned samples of 8 bits a pixel \(ICC L\*a\*b\*\)/,
};

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tiff-"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A file with these bytes, decoded. */
function decoded(bytes: Uint8Array): ReturnType<typeof decodeFile> {
  const path = join(root, "picture.tif");
  writeFileSync(path, bytes);
  return decodeFile(path);
}

describe("a TIFF file", () => {
  const read = cases.filter(({ name, rgb }) => rgb !== null && !(name in refused));
  it.each(read)("has the pixels that Pillow reads: $name", async ({ file, rgb }) => {
    const { data } = await decoded(Buffer.from(file, "base64"));
    expect([...data]).toEqual([...Buffer.from(pictures[rgb as number], "base64")]);
  });

  it.each(read)("has the same pixels without its other entries: $name", async ({ file, rgb }) => {
    const only = pictureOnly(Buffer.from(file, "base64"));
    const { data } = await decoded(only?.bytes as Buffer);
    expect([...data]).toEqual([...Buffer.from(pictures[rgb as number], "base64")]);
  });

  it.each(cases.filter(({ rgb, name }) => rgb === null || name in refused))("is refused: $name", async (each) => {
    const said = refused[each.name] ?? named[each.name];
    const bytes = Buffer.from(each.file, "base64");
    await expect(decoded(bytes)).rejects.toThrow(
      said === undefined
        ? /picture\.tif (does not decode: |begins as TIFF and its header )/
        : new RegExp(`Expected a TIFF file .*${said.source}`),
    );
  });

  const behind = cases.filter(({ name }) => /% of (RGB raw|RGB jpeg|L jpeg|deflate behind)/.test(name));
  it.each(behind)("says that it is cut off: $name", async ({ file }) => {
    await expect(decoded(Buffer.from(file, "base64"))).rejects.toThrow(
      /it is the beginning of a TIFF and ends in the middle, after \d+ bytes/,
    );
  });

  it.each(["none", "lzw", "deflate", "packbits", "jpeg"] as const)("of tiles is read: %s", async (compression) => {
    const bytes = await noise().tiff({ compression, tile: true, tileWidth: 64, tileHeight: 64 }).toBuffer();
    expect(Buffer.compare((await decoded(bytes)).data, await sharp(bytes).raw().toBuffer())).toBe(0);
  });

  it.each(["lzw", "deflate"] as const)("of tiles that are damaged is refused: %s", async (compression) => {
    const bytes = await noise().tiff({ compression, tile: true, tileWidth: 64, tileHeight: 64 }).toBuffer();
    bytes.fill(0x55, bytes.length >> 2, (bytes.length >> 2) + 100);
    await expect(decoded(bytes)).rejects.toThrow(/picture\.tif does not decode: /);
  });
});

/** A picture that no compression makes small. */
function noise(): Sharp {
  const values = Uint8Array.from({ length: 200 * 150 * 3 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255);
  return sharp(values, { raw: { width: 200, height: 150, channels: 3 } });
}
