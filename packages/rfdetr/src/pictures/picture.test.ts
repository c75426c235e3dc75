import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeFile } from "../data/images/decode.js";
import { readImageHeader } from "../data/images/image-header.js";
import { chooseOrientation } from "../data/images/orientation.js";
import { prepare } from "../data/loader/prepare-sample.js";
import { draw } from "./drawing/draw.js";
import { decode } from "./picture.js";

// Training, evaluation, prediction and drawing see the same pixels.

let root: string;
const at = (name: string): string => join(root, name);
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "picture-"));
});
afterAll(() => rmSync(root, { recursive: true }));

it("says of a folder how its images are listed", async () => {
  await expect(decode(root)).rejects.toMatchObject({
    code: "ERR_PICTURE_INPUT",
    message: `Expected an image but ${root} is a folder: give it to predict by itself, or imageFiles(["${root}"]), the list of its images`,
  });
});

describe("EXIF orientation", () => {
  /** How the upright picture is stored, so that the tag brings it back. */
  const stored: Record<number, (image: Sharp) => Sharp> = {
    2: (image) => image.flop(),
    3: (image) => image.rotate(180),
    4: (image) => image.flip(),
    5: (image) => image.rotate(270).flop(),
    6: (image) => image.rotate(270),
    7: (image) => image.rotate(90).flop(),
    8: (image) => image.rotate(90),
  };
  const cases = Object.keys(stored).flatMap((orientation) =>
    (["jpeg", "png", "webp", "tiff"] as const).flatMap((format) =>
      [60, 40].map((width) => [Number(orientation), format, width] as const),
    ),
  );

  it.each(cases)("%i in %s, %i×60: red is inside the box in every path", async (orientation, format, width) => {
    const box = [5, 20, 15, 30];
    const red = { create: { width: 10, height: 10, channels: 3 as const, background: "#f00" } };
    const upright = await sharp({ create: { width, height: 60, channels: 3, background: "#888" } })
      .composite([{ input: red, left: box[0], top: box[1] }])
      .png()
      .toBuffer();
    const file = at(`${orientation}-${width}.${format}`);
    await sharp(await stored[orientation](sharp(upright)).png().toBuffer())
      .withMetadata({ orientation })
      .toFormat(format, { quality: 100 })
      .toFile(file);
    const chosen = chooseOrientation(readImageHeader(file), { width, height: 60 });
    const side = 60;
    const job = {
      file,
      width,
      height: 60,
      orientation: chosen,
      boxes: Float32Array.from(box),
      labels: Int32Array.of(0),
      seed: [],
    };
    const recipe = { size: side, training: false, scaleJitter: false, augment: {} };
    const { prepared } = await prepare({ job }, recipe, null);
    const [x, y] = [prepared.boxes[0] * side, prepared.boxes[1] * side];
    const middles = [{ ...prepared, width: side, x, y }];
    for (const pixels of [await decode(file), await decode(readFileSync(file)), await draw(file, [])])
      middles.push({ ...prepared, data: pixels.data, width: pixels.width, x: 10, y: 25 });
    for (const { data, width: row, x: column, y: line } of middles) {
      const from = (Math.floor(line) * row + Math.floor(column)) * 3;
      const [r, g, b] = data.subarray(from, from + 3);
      expect(r > 200 && g < 60 && b < 60).toBe(true);
    }
    // The package's way: the stored pixels.
    const size = readImageHeader(file);
    expect(await decode(file, false)).toMatchObject({ width: size.width, height: size.height });
  });
});

describe("decoding", () => {
  it("keeps the upper eight bits of 16-bit greyscale", async () => {
    const values = Uint16Array.from({ length: 16 }, (_, i) => i * 4096 + 200);
    await sharp(values, { raw: { width: 4, height: 4, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toFile(at("grey16.png"));
    const expected = [...values].flatMap((value) => [value >> 8, value >> 8, value >> 8]);
    expect([...(await decodeFile(at("grey16.png"))).data]).toEqual(expected);
    expect([...(await decode(at("grey16.png"))).data]).toEqual(expected);
  });

  it("reads a file that another process has overwritten anew, whatever its format", async () => {
    const names = ["jpg", "png", "webp", "tif", "gif", "avif"].map((extension) => at(`frame.${extension}`));
    const script = `const sharp = require(process.argv[1]);
      (async () => { for (const file of process.argv.slice(4)) await sharp({ create: { width: +process.argv[2],
        height: +process.argv[2], channels: 3, background: process.argv[3] } }).toFile(file); })();`;
    const write = (side: number, colour: string): void => {
      const path = createRequire(import.meta.url).resolve("sharp");
      execFileSync(process.execPath, ["-e", script, path, String(side), colour, ...names]);
    };
    write(20, "#f00");
    for (const name of names) expect((await decode(name)).data[2]).toBeLessThan(60);
    write(30, "#00f");
    for (const name of names)
      for (const { width, data } of [await decode(name), await decodeFile(name)])
        expect([name, width, data[2] > 200]).toEqual([name, 30, true]);
  });

  it.each(["jpeg", "png", "webp", "tiff", "gif", "avif"] as const)(
    "names a cut-off %s in every path",
    async (format) => {
      const file = at(`cut.${format}`);
      const noise = { type: "gaussian" as const, mean: 100, sigma: 50 };
      await sharp({ create: { width: 200, height: 200, channels: 3, background: "#123456", noise } })
        .toFormat(format)
        .toFile(file);
      truncateSync(file, Math.floor(readFileSync(file).length * 0.6));
      for (const read of [decodeFile, decode, (path: string) => draw(path, [])])
        await expect(read(file)).rejects.toThrow(new RegExp(`cut\\.${format} (does not decode: .{10}|begins as)`));
      await expect(decode(readFileSync(file))).rejects.toMatchObject({ code: "ERR_PICTURE_INPUT" });
    },
  );
});
