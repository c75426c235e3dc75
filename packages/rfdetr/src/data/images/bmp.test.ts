import { describe, expect, it } from "vitest";
import { decodeImage, headerOf } from "./decode.js";

interface Wanted {
  bits: number;
  topDown?: boolean;
  /** `core`: the header of OS/2. `masks`: own places of red, green and blue. */
  header?: "core" | "masks";
  compression?: number;
}

const width = 5;
const height = 3;
/** Colours of the picture, in rows from the top. 5 bits hold each exactly: 255, 0 and 132 (16 of 31). */
const colours = [0xff0000, 0x00ff00, 0x0000ff, 0xffffff, 0x000000];
const indices = [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 1, 1, 1, 1, 0];

/** A BMP of the colours; of black and white for one bit. */
function bmp({ bits, topDown = false, header, compression = header === "masks" ? 3 : 0 }: Wanted): Buffer {
  const core = header === "core";
  const size = core ? 12 : 40;
  const entry = core ? 3 : 4;
  const table = bits > 8 ? [] : bits === 1 ? [0x000000, 0xffffff] : colours;
  const palette = Buffer.alloc(bits > 8 ? 0 : (core ? 1 << bits : table.length) * entry);
  table.forEach((colour, i) => {
    palette.writeUIntLE(colour, i * entry, 3);
  });
  const masks = Buffer.alloc(header === "masks" ? 12 : 0);
  if (header === "masks")
    [0x0000ff00, 0x00ff0000, 0xff000000].forEach((mask, i) => {
      masks.writeUInt32LE(mask, i * 4);
    });
  const start = 14 + size + masks.length + palette.length;
  const stride = Math.ceil((width * bits) / 32) * 4;
  const head = Buffer.alloc(14 + size);
  head.write("BM");
  head.writeUInt32LE(start + stride * height, 2);
  head.writeUInt32LE(start, 10);
  head.writeUInt32LE(size, 14);
  if (core) {
    head.writeUInt16LE(width, 18);
    head.writeUInt16LE(height, 20);
    head.writeUInt16LE(1, 22);
    head.writeUInt16LE(bits, 24);
  } else {
    head.writeInt32LE(width, 18);
    head.writeInt32LE(topDown ? -height : height, 22);
    head.writeUInt16LE(1, 26);
    head.writeUInt16LE(bits, 28);
    head.writeUInt32LE(compression, 30);
    head.writeUInt32LE(table.length, 46);
  }
  const rows = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const index = indices[y * width + x];
      const colour = colours[index];
      const row = (topDown ? y : height - 1 - y) * stride;
      if (bits <= 8) {
        const value = bits === 1 ? index & 1 : index;
        rows[row + Math.floor((x * bits) / 8)] |= value << (8 - bits - ((x * bits) % 8));
      } else if (bits === 16) {
        const [r, g, b] = [16, 8, 0].map((shift) => ((colour >> shift) & 255) >> 3);
        rows.writeUInt16LE((r << 10) | (g << 5) | b, row + x * 2);
      } else if (bits === 24) rows.writeUIntLE(colour, row + x * 3, 3);
      else if (header === "masks") {
        const [r, g, b] = [16, 8, 0].map((shift) => (colour >> shift) & 255);
        rows.set([0, r, g, b], row + x * 4);
      } else rows.writeUInt32LE(0xff000000 + colour, row + x * 4);
    }
  return Buffer.concat([head, masks, palette, rows]);
}

const decode = (bytes: Buffer) => decodeImage(bytes, headerOf(bytes, "a.bmp"), {}, "a.bmp");

describe("BMP", () => {
  const kinds: [string, Wanted][] = [
    ["1 bit", { bits: 1 }],
    ["4 bits", { bits: 4 }],
    ["8 bits", { bits: 8 }],
    ["16 bits", { bits: 16 }],
    ["24 bits", { bits: 24 }],
    ["24 bits, first row first", { bits: 24, topDown: true }],
    ["24 bits of OS/2", { bits: 24, header: "core" }],
    ["8 bits of OS/2", { bits: 8, header: "core" }],
    ["32 bits", { bits: 32 }],
    ["32 bits with masks", { bits: 32, header: "masks" }],
  ];
  it.each(kinds)("of %s decodes", async (_, wanted) => {
    const pixels = await decode(bmp(wanted));
    expect([pixels.width, pixels.height]).toEqual([width, height]);
    const expected = indices.map((i) => (wanted.bits === 1 ? (i & 1) * 0xffffff : colours[i]));
    expect(indices.map((_, i) => Buffer.from(pixels.data).readUIntBE(i * 3, 3))).toEqual(expected);
  });

  it("gives a part of its pixels as those of the whole", async () => {
    for (const topDown of [false, true]) {
      const bytes = bmp({ bits: 4, topDown });
      const region = { left: 1, top: 1, width: 3, height: 2 };
      const { data, ...size } = await decodeImage(bytes, headerOf(bytes, "a.bmp"), { region }, "a.bmp");
      expect(size).toEqual({ width: 3, height: 2, original: { width: 3, height: 2 } });
      const expected = [6, 7, 8, 11, 12, 13].map((i) => colours[indices[i]]);
      expect(expected.map((_, i) => Buffer.from(data).readUIntBE(i * 3, 3))).toEqual(expected);
    }
  });

  it("that is cut off, or of a compression that is not read, is an error that says so", async () => {
    const whole = bmp({ bits: 24 });
    await expect(decode(whole.subarray(0, whole.length - 20))).rejects.toThrow(
      /whole BMP but a\.bmp ends in the middle/,
    );
    await expect(decode(bmp({ bits: 8, compression: 1 }))).rejects.toThrow(
      /without compression but a\.bmp has compression 1: convert it to PNG/,
    );
  });

  it("with only a header takes no memory for the pixels that it claims", async () => {
    const claims = bmp({ bits: 24 });
    claims.writeInt32LE(16000, 18);
    claims.writeInt32LE(16000, 22);
    const before = process.memoryUsage().arrayBuffers;
    await expect(decode(claims)).rejects.toThrow(/ends in the middle/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 << 20);
  });
});
