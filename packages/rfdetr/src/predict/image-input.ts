// What a caller may give as an image, checked, as what can be sent to the prediction thread.
import { fileURLToPath } from "node:url";
import type { Sharp } from "sharp";
import { rgbPixels } from "../data/images/rgb.js";
import { PictureError } from "../support/errors.js";
import type { ImageSource, RawImage } from "./picture.js";

/** An image: its path or file URL, the bytes of its file, its pixels, or a sharp pipeline that makes it. */
export type ImageInput = ImageSource | URL | ArrayBuffer | Sharp;

/**
 * Checks an image and brings it into one of the forms that {@link ImageSource} has. Bytes are copied.
 * @throws PictureError `ERR_PICTURE_INPUT` for URLs that are no file, for pixels that do not fit their size, and for
 * values that are no image
 */
export async function imageSource(input: ImageInput): Promise<ImageSource> {
  if (typeof input === "string") {
    if (/^(https?|ftp|data|s3|gs):/i.test(input))
      throw refused(`Expected the path of an image but received ${short(input)}, ${unread}`);
    return input.startsWith("file://") ? fileURLToPath(input) : input;
  }
  if (input instanceof URL) {
    if (input.protocol !== "file:")
      throw refused(`Expected the URL of a file but received ${short(input.href)}, ${unread}`);
    return fileURLToPath(input);
  }
  if (input instanceof Uint8Array) return new Uint8Array(input);
  if (input instanceof ArrayBuffer || input instanceof SharedArrayBuffer) return new Uint8Array(input).slice();
  if (typeof input === "object" && input !== null) {
    if ("clone" in input && "metadata" in input) return { ...(await rgbPixels(input.clone())), channels: 3 };
    if ("data" in input) return rawImage(input);
  }
  throw refused(
    "Expected a path, a file URL, the bytes of an image file, pixels { data, width, height, channels } or a sharp " +
      `pipeline but received ${kindOf(input)}`,
  );
}

/** Whether a value is many images rather than one. Text and bytes can be iterated as well, and are one. */
export function isMany(input: unknown): input is Iterable<ImageInput> | AsyncIterable<ImageInput> {
  if (typeof input !== "object" || input === null || ArrayBuffer.isView(input)) return false;
  // A sharp pipeline is a stream, which can be iterated.
  if ("clone" in input && "metadata" in input) return false;
  return Symbol.iterator in input || Symbol.asyncIterator in input;
}

const unread = "which is not downloaded: give the bytes of the image instead";

function rawImage({ data, width, height, channels }: RawImage): RawImage {
  const shape = `${width}×${height} pixels of ${channels} channels`;
  const whole = [width, height].every((side) => Number.isSafeInteger(side) && side > 0) && [1, 3, 4].includes(channels);
  if (!whole)
    throw refused(`Expected pixels with a positive width and height and 1, 3 or 4 channels but received ${shape}`);
  const bytes: unknown = data;
  const length = width * height * channels;
  if (!(bytes instanceof Uint8Array || bytes instanceof Uint8ClampedArray))
    throw refused(`Expected a Uint8Array of ${length} bytes for ${shape} but received ${kindOf(bytes)}`);
  if (bytes.length !== length) throw refused(`Expected ${length} bytes for ${shape} but received ${bytes.length}`);
  return { data: new Uint8Array(bytes), width, height, channels };
}

function refused(message: string): PictureError {
  return new PictureError("ERR_PICTURE_INPUT", message);
}

function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return value.constructor?.name ?? "an object";
}

const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text);
