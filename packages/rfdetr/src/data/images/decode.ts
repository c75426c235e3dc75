// Decodes images to RGB bytes, as the package's reader does (Pillow's `convert("RGB")`). Every path decodes here:
// training, evaluation, prediction and drawing.
import { readFileSync, statSync } from "node:fs";
import type { FailOnOptions } from "sharp";
import { DataError } from "../../support/errors.js";
import { reasonOf } from "../../support/files/system-error.js";
import { checkMemory, isOutOfMemory } from "../../support/machine/memory-error.js";
import { checkArgument, checkOptions, count, countOrZero, filePath, type OptionKinds } from "../../support/options.js";
import { decodeBmp } from "./bmp.js";
import { ByteSource } from "./byte-source.js";
import { type ImageHeader, parseImageHeader, readImageHeader, type Size } from "./image-header.js";
import { checkPixels, shrinkFactor, turnedSize } from "./limits.js";
import { inverse, orient, storedRegion } from "./orientation.js";
import type { Region } from "./region.js";
import { type RgbPixels, rgbPixels } from "./rgb.js";
import { sharp } from "./sharp.js";
import { endsInside, pictureOnly } from "./tiff.js";
import { tiffTags } from "./tiff-directory.js";

/** A decoded image: bytes in rows of red, green, blue. */
export interface Pixels extends RgbPixels {
  /**
   * Size of the whole picture in the same frame. It is larger than `width` and `height` where the picture was made
   * smaller while it was decoded.
   */
  original: Size;
}

/** How an image is decoded. */
export interface DecodeOptions {
  /** EXIF orientation that is applied, see `chooseOrientation`; default 1, the pixels as stored. */
  orientation?: number;
  /** A JPEG is decoded at ½, ¼ or ⅛ of its size if both sides still have this many pixels; 0 decodes all of it. */
  atLeast?: number;
}

/**
 * Decodes one file. Alpha is dropped, not blended. Greyscale, CMYK and 16-bit files become 8-bit RGB; of several
 * pictures in a file, the first is read. More than 67 megapixels are decoded at half the size or less, row by row, so
 * that memory is bounded: 67 megapixels are 192 MiB of RGB bytes.
 * @throws DataError naming the file if it is missing, cut off, not an image, or of more than 268 megapixels
 * @throws `ERR_MEMORY` if memory runs out
 *
 * @example
 * const { data, width, height } = await decodeFile("bird.jpg");
 */
export async function decodeFile(file: string, options: DecodeOptions = {}): Promise<Pixels> {
  checkArgument("file", file, filePath);
  checkOptions("decodeFile", options, {
    orientation: count,
    atLeast: countOrZero,
  } satisfies OptionKinds<DecodeOptions>);
  return decodeImage(file, readImageHeader(file), options);
}

/**
 * As {@link decodeFile}, where the header is known.
 * @param source path of a file, or its bytes; @param name what messages call it
 * @param options with `region`, only this part of the turned picture is decoded, and its size is the `original` one
 */
export async function decodeImage(
  source: string | Uint8Array,
  header: ImageHeader,
  { orientation = 1, atLeast = 0, region }: DecodeOptions & { region?: Region | undefined },
  name = typeof source === "string" ? source : "the given data",
): Promise<Pixels> {
  checkPixels(header, name);
  const { format } = header;
  // A part of the stored picture, and where it is in what the decoder gives: of AVIF, pixels that are turned already.
  const turned = format === "AVIF" ? header.orientation : 1;
  const whole = { left: 0, top: 0, width: header.width, height: header.height };
  const stored = region === undefined ? whole : storedRegion(region, header, orientation);
  const part = storedRegion(stored, turnedSize(header, turned), inverse(turned));
  const { width, height } = part;
  const factor = shrinkFactor({ ...header, width, height }, atLeast);
  try {
    const size = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
    const decode = (from: string | Uint8Array, failOn: FailOnOptions): Promise<RgbPixels> => {
      // Pillow converts no colours, so the Python package trains and predicts on the values that the file has.
      let image = sharp(from, { failOn, ignoreIcc: true });
      if (region !== undefined) image = image.extract(part);
      // libvips shrinks inside the decoder when a resize by a power of two follows, and reads other formats row by row.
      if (factor > 1) image = image.resize({ ...size, fit: "fill", fastShrinkOnLoad: true });
      return rgbPixels(image);
    };
    let pixels: RgbPixels;
    if (format === "BMP") pixels = decodeBmp(source, part, factor, name);
    else if (format === "TIFF") pixels = await decodeTiff(source, decode);
    else pixels = await decode(source, "truncated");
    if (orientation !== turned) pixels = orient(orient(pixels, inverse(turned)), orientation);
    return { ...pixels, original: turnedSize(stored, orientation) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    checkMemory(error, `decode ${name}, which has ${header.width}×${header.height} pixels`);
    const fault = decodeFault(source, error as Error);
    throw new DataError(`Expected a readable image but ${name} does not decode: ${fault}. Replace or remove it`, {
      cause: error,
    });
  }
}

/** The header of a file or of bytes. @throws DataError */
export function headerOf(source: string | Uint8Array, name: string): ImageHeader {
  return typeof source === "string" ? readImageHeader(source) : parseImageHeader(new ByteSource(source), name);
}

/**
 * Decodes a TIFF file. What is damaged or missing is an error of libvips for strips, and only a warning for tiles,
 * whose place stays black. Faults of other entries of the file count as much: without those it gets a second try.
 */
async function decodeTiff(
  source: string | Uint8Array,
  decode: (from: string | Uint8Array, failOn: FailOnOptions) => Promise<RgbPixels>,
): Promise<RgbPixels> {
  try {
    return await decode(source, "warning");
  } catch (error) {
    const bytes = bytesOf(source);
    const picture = bytes === null || endsInside(bytes) ? null : pictureOnly(bytes);
    if (picture === null || isOutOfMemory(error)) throw error;
    return await decode(picture.bytes, picture.tags.has(tiffTags.tileWidth) ? "warning" : "error");
  }
}

/** The bytes that files of a format begin and end with. */
const ends = [
  { begin: [0xff, 0xd8], end: [0xff, 0xd9], name: "JPEG" },
  { begin: [0x89, 0x50, 0x4e, 0x47], end: [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82], name: "PNG" },
] as const;

/** A larger file is not read to look at its bytes. */
const searched = 256 << 20;

/** The bytes of an image; null where they are too many. */
function bytesOf(source: string | Uint8Array): Buffer | null {
  if (typeof source !== "string") return Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  return statSync(source).size <= searched ? readFileSync(source) : null;
}

/**
 * Why an image does not decode, as the end of a sentence. The decoder's own message may be lost to another thread, so
 * the bytes are looked at first.
 */
function decodeFault(source: string | Uint8Array, error: Error): string {
  let bytes: Buffer | null;
  try {
    bytes = bytesOf(source);
  } catch (unreadable) {
    return reasonOf(unreadable);
  }
  if (bytes !== null) {
    const inside = (name: string): string =>
      `it is the beginning of a ${name} and ends in the middle, after ${bytes.length} bytes`;
    for (const { begin, end, name } of ends)
      if (begin.every((byte, i) => bytes[i] === byte) && bytes.lastIndexOf(Buffer.from(end)) < 0) return inside(name);
    if (endsInside(bytes)) return inside("TIFF");
  }
  const [said] = error.message.split("\n");
  const nothing = ["", "Unknown error", "Warning treated as error due to failOn setting"];
  return nothing.includes(said) ? "it holds no whole picture" : said;
}
