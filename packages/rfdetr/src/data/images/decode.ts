// Decodes image files to RGB bytes, as the package's reader does (Pillow's `convert("RGB")`).
import { readFileSync } from "node:fs";
import sharp from "sharp";
import { DataError } from "../../support/errors.js";
import { reasonOf } from "../../support/system-error.js";
import { orient } from "./orientation.js";
import { type RgbPixels, rgbPixels } from "./rgb.js";

// Parallelism comes from the loader's own threads, and a cache of decoded files would grow to the whole dataset.
sharp.concurrency(1);
sharp.cache(false);

/** A decoded image: bytes in rows of red, green, blue. */
export type Pixels = RgbPixels;

/** How a file is decoded. */
export interface DecodeOptions {
  /** EXIF orientation that is applied, see `chooseOrientation`; default 1, the pixels as stored. */
  orientation?: number;
  /** A JPEG is decoded at ½, ¼ or ⅛ of its size if both sides still have this many pixels; 0 decodes all of it. */
  atLeast?: number;
}

/**
 * Decodes one file. Alpha is dropped, not blended. Greyscale, CMYK and 16-bit files become 8-bit RGB.
 * @throws DataError naming the file if it is missing, cut off or not an image
 */
export async function decodeFile(file: string, options: DecodeOptions = {}): Promise<Pixels> {
  const { orientation = 1, atLeast = 0 } = options;
  try {
    let image = sharp(file, { failOn: "truncated" });
    if (atLeast > 0) {
      const { format, width = 0, height = 0 } = await image.metadata();
      const factor = [8, 4, 2].find((f) => f <= Math.min(Math.floor(width / atLeast), Math.floor(height / atLeast)));
      // libvips shrinks inside the JPEG decoder when a resize by a power of two follows.
      if (format === "jpeg" && factor !== undefined)
        image = image.resize(Math.ceil(width / factor), Math.ceil(height / factor), {
          fit: "fill",
          fastShrinkOnLoad: true,
        });
    }
    return orient(await rgbPixels(image), orientation);
  } catch (error) {
    const fault = decodeFault(file, error as Error);
    throw new DataError(`Expected a readable image but ${file} does not decode: ${fault}. Replace or remove it`, {
      cause: error,
    });
  }
}

/** The bytes that files of a format begin and end with. */
const ends = [
  { begin: [0xff, 0xd8], end: [0xff, 0xd9], name: "JPEG" },
  { begin: [0x89, 0x50, 0x4e, 0x47], end: [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82], name: "PNG" },
] as const;

/**
 * Why a file does not decode, as the end of a sentence. The decoder's own message may be lost to another thread, so the
 * file itself is looked at first.
 */
export function decodeFault(file: string, error: Error): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (unreadable) {
    return reasonOf(unreadable);
  }
  if (bytes.length === 0) return "the file is empty";
  for (const { begin, end, name } of ends)
    if (begin.every((byte, i) => bytes[i] === byte) && bytes.lastIndexOf(Buffer.from(end)) < 0)
      return `it is the beginning of a ${name} and ends in the middle, after ${bytes.length} bytes`;
  const [said] = error.message.split("\n");
  return said === "" || said === "Unknown error" ? `its ${bytes.length} bytes hold no whole picture` : said;
}
