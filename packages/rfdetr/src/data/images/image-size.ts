// Reads width and height from the header of an image file, without decoding it.
import { closeSync, openSync, readSync } from "node:fs";
import { DataError } from "../../support/errors.js";
import { reasonOf } from "../../support/system-error.js";

/**
 * Size in pixels, as stored (without EXIF rotation), of JPEG, PNG, WebP, BMP and TIFF files.
 * @throws DataError naming the file
 */
export function imageSize(path: string): { width: number; height: number } {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw new DataError(`Expected a readable image but ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  try {
    const head = Buffer.alloc(64);
    const read = readSync(file, head, 0, 64, 0);
    const size = read < 16 ? null : head.readUInt16BE(0) === 0xffd8 ? jpeg(file) : (fixed(head) ?? tiff(file, head));
    if (size === null || !(size.width > 0 && size.height > 0))
      throw new DataError(
        `Expected an image but ${path} is not in a supported image format: remove it, or convert it to JPEG or PNG`,
      );
    return size;
  } finally {
    closeSync(file);
  }
}

function fixed(head: Buffer): { width: number; height: number } | null {
  if (head.toString("latin1", 1, 4) === "PNG") return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
  if (head.toString("latin1", 0, 2) === "BM")
    return { width: head.readInt32LE(18), height: Math.abs(head.readInt32LE(22)) };
  if (head.toString("latin1", 0, 4) !== "RIFF" || head.toString("latin1", 8, 12) !== "WEBP") return null;
  switch (head.toString("latin1", 12, 16)) {
    case "VP8 ":
      return { width: head.readUInt16LE(26) & 0x3fff, height: head.readUInt16LE(28) & 0x3fff };
    case "VP8L": {
      const bits = head.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    default:
      return { width: head.readUIntLE(24, 3) + 1, height: head.readUIntLE(27, 3) + 1 };
  }
}

/** Walks the segments to the frame header. */
function jpeg(file: number): { width: number; height: number } | null {
  const segment = Buffer.alloc(9);
  for (let at = 2; readSync(file, segment, 0, 9, at) === 9; ) {
    if (segment[0] !== 0xff) return null;
    const marker = segment[1];
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc)
      return { height: segment.readUInt16BE(5), width: segment.readUInt16BE(7) };
    at += 2 + segment.readUInt16BE(2);
  }
  return null;
}

function tiff(file: number, head: Buffer): { width: number; height: number } | null {
  const order = head.toString("latin1", 0, 2);
  if (order !== "II" && order !== "MM") return null;
  const little = order === "II";
  const u16 = (b: Buffer, at: number): number => (little ? b.readUInt16LE(at) : b.readUInt16BE(at));
  const u32 = (b: Buffer, at: number): number => (little ? b.readUInt32LE(at) : b.readUInt32BE(at));
  const start = u32(head, 4);
  const count = Buffer.alloc(2);
  if (readSync(file, count, 0, 2, start) < 2) return null;
  const entries = Buffer.alloc(u16(count, 0) * 12);
  readSync(file, entries, 0, entries.length, start + 2);
  const size = { width: 0, height: 0 };
  for (let at = 0; at + 12 <= entries.length; at += 12) {
    const tag = u16(entries, at);
    const value = u16(entries, at + 2) === 3 ? u16(entries, at + 8) : u32(entries, at + 8);
    if (tag === 256) size.width = value;
    else if (tag === 257) size.height = value;
  }
  return size;
}
