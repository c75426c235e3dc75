// Small pictures of one colour whose opacity is the value: they look right on a light page and on a dark one.
import { crc32, deflateSync } from "node:zlib";

/** The greatest opacity of a pixel; 0 is clear. A longer palette would be most of the file. */
export const fullOpacity = 15;

/**
 * A PNG in opacities of one colour, as a `data:` address.
 * @param opacity `[height · width]`, rows from the top, 0 to {@link fullOpacity}
 */
export function opacityPng(
  opacity: Uint8Array,
  width: number,
  height: number,
  colour: readonly [red: number, green: number, blue: number],
): string {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // 8 bits a pixel, from a palette.
  header.set([8, 3, 0, 0, 0], 8);
  const palette = Buffer.from(Array.from({ length: fullOpacity + 1 }, () => colour).flat());
  const alphas = Buffer.from(Array.from({ length: fullOpacity + 1 }, (_, i) => Math.round((255 * i) / fullOpacity)));
  // Each row begins with the number of its filter: none.
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) rows.set(opacity.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const file = Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    part("IHDR", header),
    part("PLTE", palette),
    part("tRNS", alphas),
    part("IDAT", deflateSync(rows, { level: 9 })),
    part("IEND", Buffer.alloc(0)),
  ]);
  return `data:image/png;base64,${file.toString("base64")}`;
}

function part(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, "latin1"), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(named) >>> 0);
  return Buffer.concat([length, named, check]);
}
