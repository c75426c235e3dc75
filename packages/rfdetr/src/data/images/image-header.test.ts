import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ByteSource } from "./byte-source.js";
import { parseImageHeader, readImageHeader } from "./image-header.js";

const turned: { cases: { file: string; orientation: number; stored: [number, number, string] }[] } = JSON.parse(
  readFileSync(new URL("fixtures/avif-turned.json", import.meta.url), "utf8"),
);

let root: string;
const at = (name: string): string => join(root, name);
const flat = { create: { width: 20, height: 10, channels: 3 as const, background: { r: 200, g: 100, b: 50 } } };
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "image-header-"));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A file whose first bytes are `text` (latin1), followed by zeros. */
function write(name: string, text: string, size = 600): string {
  const bytes = Buffer.alloc(size);
  bytes.write(text, "latin1");
  writeFileSync(at(name), bytes);
  return at(name);
}

describe("readImageHeader", () => {
  it.each(["jpeg", "png", "webp", "tiff"] as const)("gives size as stored and orientation of %s", async (format) => {
    for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const file = at(`${orientation}.${format}`);
      await sharp(flat).withMetadata({ orientation }).toFormat(format).toFile(file);
      expect(readImageHeader(file)).toMatchObject({ width: 20, height: 10, orientation });
    }
    const bare = at(`bare.${format}`);
    await sharp(flat).toFormat(format).toFile(bare);
    const names = { jpeg: "JPEG", png: "PNG", webp: "WebP", tiff: "TIFF" };
    expect(readImageHeader(bare)).toEqual({ format: names[format], width: 20, height: 10, orientation: 1 });
  });

  it("reads GIF, AVIF, lossless WebP and BMP, whatever the file is called", async () => {
    await sharp(flat).gif().toFile(at("a.gif"));
    await sharp(flat).avif().toFile(at("b.jpg"));
    await sharp(flat).webp({ lossless: true }).toFile(at("c"));
    const bmp = Buffer.alloc(54);
    bmp.write("BM");
    bmp.writeUInt32LE(40, 14);
    bmp.writeInt32LE(20, 18);
    bmp.writeInt32LE(-10, 22);
    writeFileSync(at("d.bmp"), bmp);
    const found = ["a.gif", "b.jpg", "c", "d.bmp"].map((name) => readImageHeader(at(name)));
    expect(found.map(({ format }) => format)).toEqual(["GIF", "AVIF", "WebP", "BMP"]);
    for (const { width, height, orientation } of found) expect([width, height, orientation]).toEqual([20, 10, 1]);
  });

  it.each(turned.cases)("gives size and orientation of a turned AVIF as Pillow does: $orientation", (each) => {
    const [width, height] = each.stored;
    const header = parseImageHeader(new ByteSource(Buffer.from(each.file, "base64")), "the given bytes");
    expect(header).toEqual({ format: "AVIF", width, height, orientation: each.orientation });
  });

  it("reads bytes in memory as it reads files", async () => {
    const bytes = await sharp(flat).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(parseImageHeader(new ByteSource(bytes), "the given bytes")).toEqual({
      format: "JPEG",
      width: 20,
      height: 10,
      orientation: 6,
    });
  });

  it("finds the frame behind megabytes of fill bytes", async () => {
    const bytes = await sharp(flat).jpeg().toBuffer();
    const fill = Buffer.alloc(3 << 20, 0xff);
    writeFileSync(at("fill.jpg"), Buffer.concat([bytes.subarray(0, 2), fill, bytes.subarray(2)]));
    expect(readImageHeader(at("fill.jpg"))).toMatchObject({ width: 20, height: 10 });
    writeFileSync(at("only-fill.jpg"), Buffer.concat([bytes.subarray(0, 2), fill]));
    expect(() => readImageHeader(at("only-fill.jpg"))).toThrow(
      /only-fill\.jpg begins as JPEG and its header gives no size/,
    );
  });

  it.each([
    ["a.heic", "\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"],
    ["a.heif", "\0\0\0\x14ftypmif1\0\0\0\0mif1", "HEIF"],
    ["a.jp2", "\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"],
    ["a.jxl", "\xff\x0a", "JPEG XL"],
    ["a.psd", "8BPS\0\x01", "Photoshop"],
    ["a.svg", '\xef\xbb\xbf<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"],
    ["a.cr2", "II*\0\x10\0\0\0CR\x02\0", "a camera's raw file"],
    ["a.nef", "MM\0*\0\0\0\x08", "a camera's raw file"],
    ["a.ppm", "P6\n2 2\n255\n", "Netpbm"],
    ["photo.jpg", "<!DOCTYPE html><html><body>Sign in</body></html>", "a web page \\(HTML\\)"],
    ["lfs.jpg", "version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"],
    ["a.mp4", "\0\0\0\x18ftypisom\0\0\x02\0isommp41", "a video"],
    ["a.mkv", "\x1aE\xdf\xa3\xa3B\x86\x81", "a video"],
    ["a.avi", "RIFF\0\0\0\0AVI LIST", "a video"],
    ["a.ts", `G${"\0".repeat(187)}G`, "a video"],
    ["a.mpg", "\0\0\x01\xbaD", "a video"],
  ])("refuses %s by the name of its kind", (name, text, kind) => {
    const file = write(name, text);
    const remedy =
      kind === "a video" ? "predict reads it from a file with the name of one" : "convert it to JPEG or PNG";
    expect(() => readImageHeader(file)).toThrow(
      new RegExp(`Expected a JPEG, PNG, .* image but .*${name} is ${kind}.*: ${remedy}`),
    );
  });

  it("refuses what is empty, unknown, cut off or missing", async () => {
    write("empty.jpg", "", 0);
    write("noise.jpg", "nothing to see");
    await sharp(flat).webp().toFile(at("cut.webp"));
    truncateSync(at("cut.webp"), 14);
    expect(() => readImageHeader(at("empty.jpg"))).toThrow(/empty\.jpg is empty/);
    expect(() => readImageHeader(at("noise.jpg"))).toThrow(/noise\.jpg is of no known kind/);
    expect(() => readImageHeader(at("cut.webp"))).toThrow(/cut\.webp begins as WebP and its header gives no size/);
    expect(() => readImageHeader(at("missing.png"))).toThrow(/missing\.png cannot be read: there is no such file/);
  });

  it("says of a file whose name is not UTF-8 that it cannot be opened", () => {
    mkdirSync(at("latin"));
    const path = Buffer.concat([Buffer.from(`${at("latin")}/m`), Buffer.from([0xf6]), Buffer.from("we.jpg")]);
    writeFileSync(path, "");
    const [name] = readdirSync(at("latin"));
    expect(() => readImageHeader(join(at("latin"), name))).toThrow(
      /we\.jpg cannot be read: its name is not valid UTF-8, so that it cannot be opened: rename it$/,
    );
  });

  it("refuses devices, named pipes and folders without reading them, and follows symbolic links", async () => {
    execFileSync("sh", ["-c", 'mkfifo "$0"', at("pipe.jpg")]);
    mkdirSync(at("folder.jpg"));
    symlinkSync("/dev/zero", at("zero.jpg"));
    expect(() => readImageHeader(at("pipe.jpg"))).toThrow(/pipe\.jpg is a named pipe/);
    expect(() => readImageHeader(at("folder.jpg"))).toThrow(/folder\.jpg is a folder/);
    expect(() => readImageHeader(at("zero.jpg"))).toThrow(/zero\.jpg is a device/);
    await sharp(flat).png().toFile(at("real.png"));
    symlinkSync(at("real.png"), at("link.png"));
    expect(readImageHeader(at("link.png"))).toMatchObject({ width: 20, height: 10 });
  });

  it("never fails but with a sentence, whichever byte of a header is damaged", async () => {
    for (const format of ["jpeg", "png", "webp", "tiff", "gif", "avif"] as const) {
      const whole = await sharp(flat).withMetadata({ orientation: 6 }).toFormat(format).toBuffer();
      for (let i = 0; i < Math.min(whole.length, 700); i++)
        for (const value of [0, 0x7f, 0xff]) {
          const bytes = Buffer.from(whole);
          bytes[i] = value;
          try {
            const { width, height, orientation } = parseImageHeader(new ByteSource(bytes), "x");
            expect(width > 0 && height > 0 && orientation >= 1 && orientation <= 8).toBe(true);
          } catch (error) {
            expect((error as Error).message).toMatch(/^Expected a/);
          }
        }
    }
  });
});
