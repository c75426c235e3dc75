// What a caller may give as an image, checked, as what can be sent to the prediction thread.
import type { Sharp } from "sharp";
import { channelsOf, type ImagePixels } from "../../data/images/image-pixels.js";
import { rgbPixels } from "../../data/images/rgb.js";
import type { ImageSource, RawImage } from "../../pictures/picture.js";
import { PictureError } from "../../support/errors.js";
import { isVideoName, shownVideo } from "../video/video-name.js";
import { isFetched, isForeign, pathOf, pathOfAddress } from "./address.js";
import { fetchImage } from "./fetch-image.js";

/**
 * An image: its path or URL (`file:`, `http:`, `https:`, `data:`), the bytes of its file, a Blob or File, its pixels
 * (also the ImageData of a canvas), or a sharp pipeline that makes it.
 */
export type ImageInput = ImageSource | URL | ArrayBuffer | SharedArrayBuffer | Blob | ImagePixels | Sharp;

/** How an image is taken. */
interface TakeOptions {
  /** Gives a download up. */
  signal?: AbortSignal | undefined;
  /** Whether the bytes may be given away rather than copied. */
  transfer?: boolean | undefined;
}

/**
 * Checks an image and brings it into one of the forms that {@link ImageSource} has. Bytes are copied unless they may
 * be given away; images at an address are downloaded.
 * @throws PictureError `ERR_PICTURE_INPUT` for what cannot be downloaded, for pixels that do not fit their size, and
 * for values that are no image
 */
export async function imageSource(input: ImageInput, options: TakeOptions = {}): Promise<ImageSource> {
  if (typeof input === "string") {
    if (isFetched(input) && !isVideoName(input)) return fetchImage(input, options.signal);
    if (isForeign(input)) throw notFetched(input);
    if (isVideoName(input))
      throw refused(`Expected an image but ${shownVideo(input)} is a video: give video(…) by itself`);
    return pathOf(input);
  }
  if (input instanceof URL) {
    if (/^(https?|data):$/.test(input.protocol)) return fetchImage(input.href, options.signal);
    if (input.protocol !== "file:") throw notFetched(input.href);
    return pathOfAddress(input);
  }
  if (input instanceof Uint8Array) return own(input, options);
  if (input instanceof ArrayBuffer || input instanceof SharedArrayBuffer) return own(new Uint8Array(input), options);
  if (input instanceof Blob) return new Uint8Array(await input.arrayBuffer());
  if (typeof input === "object" && input !== null) {
    if (isPipeline(input)) return { ...(await rgbPixels(input.clone())), channels: 3 };
    if ("data" in input) return rawImage(input, options);
  }
  const { name, remedy } = kindOf(input);
  throw refused(
    "Expected a path, a URL, the bytes of an image file, a Blob, pixels { data, width, height, channels } or a sharp " +
      `pipeline but received ${name}${remedy}`,
  );
}

/** Whether a value is many images rather than one. Text and bytes can be iterated as well, and are one. */
export function isMany(input: unknown): input is Iterable<ImageInput> | AsyncIterable<ImageInput> {
  if (typeof input !== "object" || input === null || ArrayBuffer.isView(input)) return false;
  // A sharp pipeline is a stream, which can be iterated; so can the chunks of a file.
  if (isPipeline(input) || isByteStream(input)) return false;
  return Symbol.iterator in input || Symbol.asyncIterator in input;
}

const isPipeline = (input: object): input is Sharp => "clone" in input && "metadata" in input;

/** A stream of Node whose chunks are pieces of a file rather than things. */
const isByteStream = (input: object): boolean => "readableObjectMode" in input && input.readableObjectMode === false;

/** The bytes themselves where the caller hands them over, else a copy, which the caller cannot change. */
function own(bytes: Uint8Array, { transfer = false }: TakeOptions): Uint8Array {
  const whole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
  return transfer && whole ? bytes : new Uint8Array(bytes);
}

function rawImage(image: ImagePixels, options: TakeOptions): RawImage {
  const { data, width, height } = image;
  const channels = channelsOf(image) as RawImage["channels"];
  const shape = `${width}×${height} pixels of ${channels} channels`;
  const whole = [width, height].every((side) => Number.isSafeInteger(side) && side > 0) && [1, 3, 4].includes(channels);
  if (!whole)
    throw refused(`Expected pixels with a positive width and height and 1, 3 or 4 channels but received ${shape}`);
  const bytes: unknown = data;
  const length = width * height * channels;
  if (!(bytes instanceof Uint8Array || bytes instanceof Uint8ClampedArray))
    throw refused(`Expected a Uint8Array of ${length} bytes for ${shape} but received ${kindOf(bytes).name}`);
  if (bytes.length !== length) throw refused(`Expected ${length} bytes for ${shape} but received ${bytes.length}`);
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { data: own(plain, options), width, height, channels };
}

function refused(message: string): PictureError {
  return new PictureError("ERR_PICTURE_INPUT", message);
}

const notFetched = (url: string): PictureError =>
  refused(`Expected a file, http, https or data URL but received ${short(url)}: give the bytes of the image instead`);

/** What a value is, and how to make an image of it if that is known. */
function kindOf(value: unknown): { name: string; remedy: string } {
  if (typeof value !== "object" || value === null) return { name: String(value), remedy: "" };
  const name = value.constructor?.name ?? "an object";
  if (isByteStream(value)) return { name, remedy: ": collect its bytes first, with buffer() of node:stream/consumers" };
  if ("arrayBuffer" in value) return { name, remedy: ": give what its arrayBuffer() resolves to" };
  return { name, remedy: "" };
}

const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}…` : text);
