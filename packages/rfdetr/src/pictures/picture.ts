// Pictures from files or bytes to pixels, and from pixels to files.
import { rename, rm, writeFile } from "node:fs/promises";
import { extname } from "node:path";
import type { Sharp } from "sharp";
import { isFolder } from "../data/formats/find-file.js";
import { decodeImage, headerOf } from "../data/images/decode.js";
import { type Size, uprightSize } from "../data/images/image-header.js";
import type { Region } from "../data/images/region.js";
import { rgbPixels } from "../data/images/rgb.js";
import { sharp } from "../data/images/sharp.js";
import { DataError, MemoryError, PictureError } from "../support/errors.js";
import { scratchBeside } from "../support/files/scratch.js";
import { reasonOf } from "../support/files/system-error.js";
import { checkMemory } from "../support/machine/memory-error.js";
import { count, type OptionKinds, oneOf, text } from "../support/options.js";

/** A decoded image: RGB or greyscale bytes, row after row. */
export interface RawImage {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 1 | 3 | 4;
}

/** A path, an encoded image, or decoded bytes. */
export type ImageSource = string | Uint8Array | RawImage;

/** Decoded pixels, and the size of the whole picture in the same frame, which is larger for more than 67 megapixels. */
export interface Picture extends RawImage {
  channels: 3;
  original: { width: number; height: number };
}

/**
 * Decodes to 8-bit RGB, as the detector sees it: alpha is dropped, and the picture is turned upright by its EXIF tag
 * unless `autoOrient` is false. A picture of more than 67 megapixels is decoded at half its size or less.
 * @param atLeast a JPEG may be decoded at ½, ¼ or ⅛ if both sides still have this many pixels; 0 decodes all of it
 * @param region only this part of a file is decoded; its size is then the `original` one
 * @throws PictureError `ERR_PICTURE_INPUT` naming the file
 */
export async function decode(image: ImageSource, autoOrient = true, atLeast = 0, region?: Region): Promise<Picture> {
  const name = nameOf(image);
  try {
    if (typeof image === "string" || image instanceof Uint8Array) {
      const header = headerOf(image, name);
      const orientation = autoOrient ? header.orientation : 1;
      return { ...(await decodeImage(image, header, { orientation, atLeast, region }, name)), channels: 3 };
    }
    const pixels = image.channels === 3 ? whole(image) : await rgbPixels(asSharp(whole(image)));
    const { data, width, height } = pixels;
    return { data, width, height, channels: 3, original: { width, height } };
  } catch (cause) {
    throw unreadable(image, cause);
  }
}

/** The size of an image as {@link decode} turns it, from its header. @throws PictureError `ERR_PICTURE_INPUT` */
export function sizeOf(image: ImageSource, autoOrient = true): Size {
  if (typeof image !== "string" && !(image instanceof Uint8Array)) return image;
  try {
    const header = headerOf(image, nameOf(image));
    return autoOrient ? uprightSize(header) : header;
  } catch (cause) {
    throw unreadable(image, cause);
  }
}

const nameOf = (image: ImageSource): string => (typeof image === "string" ? image : "the given data");

/** Why an image is not read, for the caller. */
function unreadable(image: ImageSource, cause: unknown): Error {
  const name = nameOf(image);
  checkMemory(cause, `decode ${name}`);
  if (cause instanceof MemoryError) return cause;
  if (typeof image === "string" && isFolder(image))
    return new PictureError(
      "ERR_PICTURE_INPUT",
      `Expected an image but ${name} is a folder: give it to predict by itself, or imageFiles([${JSON.stringify(name)}]), the list of its images`,
      { cause },
    );
  const message =
    cause instanceof DataError
      ? cause.message
      : `Expected a readable image in ${name} but decoding failed: ${reasonOf(cause)}`;
  return new PictureError("ERR_PICTURE_INPUT", message, { cause });
}

/** Decoded pixels as a pipeline. */
export const asSharp = ({ data, width, height, channels }: RawImage): Sharp =>
  sharp(data, { raw: { width, height, channels } });

/** @throws an error if the bytes do not fit the size */
function whole({ data, width, height, channels }: RawImage): RawImage {
  if (data.length !== width * height * channels) {
    const expected = width * height * channels;
    throw new Error(`${width}×${height} pixels of ${channels} channels need ${expected} bytes, not ${data.length}`);
  }
  return { data, width, height, channels };
}

/** Where and how an image is written. */
export interface OutputFlags {
  /** File to write; its extension chooses the format (.png, .jpg, .jpeg, .webp). */
  out?: string;
  /** Format when no file is given; default png. */
  format?: "png" | "jpeg" | "webp";
  /** Quality of jpeg and webp, 1 to 100; default 90. */
  quality?: number;
}

/** What says where and how an image is written. */
export const outputOptions: OptionKinds<OutputFlags> = {
  out: text,
  format: oneOf("png", "jpeg", "webp"),
  quality: { takes: "integer from 1 to 100", fits: (value) => count.fits(value) && (value as number) <= 100 },
};

const EXTENSIONS: Record<string, "png" | "jpeg" | "webp"> = {
  ".png": "png",
  ".jpg": "jpeg",
  ".jpeg": "jpeg",
  ".webp": "webp",
};

/** Encodes, and writes the file if one is named. @throws PictureError `ERR_PICTURE_OUTPUT` */
export async function encode(pipeline: Sharp, { out, format = "png", quality = 90 }: OutputFlags): Promise<Buffer> {
  const kind = out === undefined ? format : EXTENSIONS[extname(out).toLowerCase()];
  if (kind === undefined) {
    throw new PictureError(
      "ERR_PICTURE_OUTPUT",
      `Expected a file ending in .png, .jpg, .jpeg or .webp for out but received ${out}`,
    );
  }
  const settings = kind === "png" ? {} : kind === "jpeg" ? { quality, chromaSubsampling: "4:4:4" } : { quality };
  let buffer: Buffer;
  try {
    buffer = await pipeline.removeAlpha().toFormat(kind, settings).toBuffer();
  } catch (cause) {
    checkMemory(cause, `encode ${out ?? "the picture"}`);
    const message = `Expected a picture that can be written as ${kind} but encoding failed: ${reasonOf(cause)}`;
    throw new PictureError("ERR_PICTURE_OUTPUT", message, { cause });
  }
  if (out !== undefined) {
    try {
      await replace(out, buffer);
    } catch (cause) {
      throw new PictureError(
        "ERR_PICTURE_OUTPUT",
        `Expected a writable file at ${out} but writing failed: ${reasonOf(cause)}`,
        {
          cause,
        },
      );
    }
  }
  return buffer;
}

/** Writes a file whole or not at all. A link is replaced, and what it leads to stays as it is. */
async function replace(path: string, content: Buffer): Promise<void> {
  const temporary = scratchBeside(path);
  try {
    await writeFile(temporary, content, { flag: "wx" });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
