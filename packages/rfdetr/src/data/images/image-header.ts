// Reads format, size and EXIF orientation from the header of an image file, without decoding it.
import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { DataError } from "../../support/errors.js";
import { reasonOf } from "../../support/files/system-error.js";
import { avifSize } from "./avif-header.js";
import { ByteSource } from "./byte-source.js";
import { type ImageFormat, imageKind, raw, video } from "./image-kinds.js";
import { checkTiff } from "./tiff.js";
import { readTiffDirectory, tiffTags } from "./tiff-directory.js";

/** Width and height in pixels. */
export interface Size {
  width: number;
  height: number;
}

/** What the header of an image says. */
export interface ImageHeader extends Size {
  format: ImageFormat;
  /**
   * EXIF orientation, 1 to 8: how the stored picture is turned for display (EXIF 2.32, tag 274). 1 is as stored, and
   * the value of files that have none.
   */
  orientation: number;
}

/**
 * Format, size in pixels as stored, and orientation of an image file. Reads a few kilobytes.
 * @throws DataError naming the file: it cannot be read, is no regular file, is of a kind that is not decoded, or its
 * header is cut off
 */
export function readImageHeader(path: string): ImageHeader {
  let file: number;
  try {
    // Opening a named pipe would wait for its other end.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new DataError(`Expected a readable image but ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new DataError(`Expected an image file but ${path} is ${kindOfFile(stats)}`);
    return parseImageHeader(new ByteSource(file), path);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(`Expected a readable image but ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  } finally {
    closeSync(file);
  }
}

function kindOfFile(stats: Stats): string {
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a named pipe";
  return stats.isSocket() ? "a socket" : "a device";
}

/**
 * As {@link readImageHeader}, for bytes that are open already.
 * @param name what messages call it
 * @throws DataError
 */
export function parseImageHeader(source: ByteSource, name: string): ImageHeader {
  if (source.beginning(1).length === 0)
    throw new DataError(`Expected an image but ${name} is empty: replace or remove it`);
  const kind = imageKind(source, name);
  if (kind === null)
    throw new DataError(`Expected an image but ${name} is of no known kind: replace it, or convert it to JPEG or PNG`);
  if ("other" in kind) throw notDecoded(name, kind.other);
  const { format } = kind;
  const header = readers[format](source, name);
  if (header === null || !(header.width > 0 && header.height > 0))
    throw new DataError(
      `Expected a whole image but ${name} begins as ${format} and its header gives no size: replace or remove it`,
    );
  const { width, height, orientation = 1 } = header;
  return { format, width, height, orientation: orientation >= 1 && orientation <= 8 ? orientation : 1 };
}

function notDecoded(name: string, kind: string): DataError {
  const remedy =
    kind === video
      ? "predict reads it from a file with the name of one, such as clip.mp4"
      : "convert it to JPEG or PNG";
  return new DataError(`Expected a JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF image but ${name} is ${kind}: ${remedy}`);
}

/** The size that a picture has when it is turned as its orientation says. */
export function uprightSize({ width, height, orientation }: Omit<ImageHeader, "format">): Size {
  return orientation >= 5 ? { width: height, height: width } : { width, height };
}

/** The size that a header states, before the picture is turned; null where it states none. */
type StoredSize = (Size & { orientation?: number }) | null;

const readers: Readonly<Record<ImageFormat, (source: ByteSource, name: string) => StoredSize>> = {
  JPEG: jpeg,
  PNG: png,
  WebP: webp,
  TIFF: tiff,
  BMP: bmp,
  GIF: (source) => {
    const head = source.at(6, 4);
    return head === null ? null : { width: head.readUInt16LE(0), height: head.readUInt16LE(2) };
  },
  AVIF: avifSize,
};

/** The orientation of EXIF data, which may begin with a mark. */
function exifOrientation(source: ByteSource, start: number): number | undefined {
  const marked = source.at(start, 6)?.toString("latin1") === "Exif\0\0";
  return readTiffDirectory(source, marked ? start + 6 : start)?.first(tiffTags.orientation);
}

/** Walks the segments up to the first scan. */
function jpeg(source: ByteSource): StoredSize {
  let size: Size | null = null;
  let orientation: number | undefined;
  for (let at = 2; ; ) {
    const head = source.at(at, 4);
    if (head === null || head[0] !== 0xff) break;
    const marker = head[1];
    if (marker === 0xff) {
      at++;
      continue;
    }
    // The first scan, or the end.
    if (marker === 0xda || marker === 0xd9) break;
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const frame = source.at(at, 9);
      size ??= frame && { height: frame.readUInt16BE(5), width: frame.readUInt16BE(7) };
    } else if (marker === 0xe1 && source.at(at + 4, 6)?.toString("latin1") === "Exif\0\0")
      orientation ??= exifOrientation(source, at + 4);
    // Restart marks have no length.
    const length = (marker >= 0xd0 && marker <= 0xd7) || marker === 1 ? 0 : source.at(at, 4)?.readUInt16BE(2);
    at += 2 + (length ?? 0);
  }
  return size && { ...size, ...(orientation === undefined ? {} : { orientation }) };
}

/** Walks the chunks up to the pixels. */
function png(source: ByteSource): StoredSize {
  const size = source.at(16, 8);
  if (size === null) return null;
  const [width, height] = [size.readUInt32BE(0), size.readUInt32BE(4)];
  for (let at = 8; ; ) {
    const chunk = source.at(at, 8);
    const type = chunk?.toString("latin1", 4, 8);
    if (chunk === null || type === "IDAT" || type === "IEND") return { width, height };
    if (type === "eXIf") return { width, height, orientation: exifOrientation(source, at + 8) ?? 1 };
    at += 12 + chunk.readUInt32BE(0);
  }
}

function webp(source: ByteSource): StoredSize {
  const head = source.at(12, 18);
  if (head === null) return null;
  switch (head.toString("latin1", 0, 4)) {
    case "VP8 ":
      return { width: head.readUInt16LE(14) & 0x3fff, height: head.readUInt16LE(16) & 0x3fff };
    case "VP8L": {
      const bits = head.readUInt32LE(9);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X": {
      const size = { width: head.readUIntLE(12, 3) + 1, height: head.readUIntLE(15, 3) + 1 };
      for (let at = 12; ; ) {
        const chunk = source.at(at, 8);
        if (chunk === null) return size;
        if (chunk.toString("latin1", 0, 4) === "EXIF")
          return { ...size, orientation: exifOrientation(source, at + 8) ?? 1 };
        const length = chunk.readUInt32LE(4);
        // Chunks have even lengths.
        at += 8 + length + (length & 1);
      }
    }
    default:
      return null;
  }
}

function tiff(source: ByteSource, name: string): StoredSize {
  const directory = readTiffDirectory(source, 0);
  if (directory === null) return null;
  if (directory.entries.has(tiffTags.dngVersion)) throw notDecoded(name, raw);
  const [width = 0, height = 0, orientation = 1] = [tiffTags.width, tiffTags.height, tiffTags.orientation].map(
    directory.first,
  );
  if (width > 0 && height > 0) checkTiff(directory, name);
  return { width, height, orientation };
}

function bmp(source: ByteSource): StoredSize {
  const head = source.at(14, 12);
  if (head === null) return null;
  // The oldest header has sizes of two bytes. A negative height means that the first row comes first.
  return head.readUInt32LE(0) === 12
    ? { width: head.readUInt16LE(4), height: head.readUInt16LE(6) }
    : { width: head.readInt32LE(4), height: Math.abs(head.readInt32LE(8)) };
}
