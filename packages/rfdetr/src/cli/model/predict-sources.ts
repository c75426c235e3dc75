// The images that `rfdetr predict` reads. Those that are no files are read once, for the model and for the drawing.
import { addAbortSignal, type Readable } from "node:stream";
import { isFetched, isLocal, shownImage, stdinName } from "../../predict/inputs/address.js";
import { bytesOf, fetchImage } from "../../predict/inputs/fetch-image.js";
import type { ImageInput } from "../../predict/inputs/image-input.js";
import { PictureError, UsageError } from "../../support/errors.js";
import { reasonOf } from "../../support/files/system-error.js";

/** A file, or the bytes of an image from elsewhere. */
export type OpenedImage = string | Uint8Array;

/** Opens images in their order. */
export class PredictSources implements AsyncIterable<OpenedImage> {
  /** Names of the images whose bytes are here. */
  readonly #names = new Map<unknown, string>();

  /** @param failed takes the error of an image that cannot be read; the others go on */
  constructor(
    readonly names: readonly string[],
    readonly signal: AbortSignal,
    readonly failed: (error: Error, name: string) => void,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<OpenedImage> {
    for (const name of this.names) {
      if (isLocal(name)) {
        yield name;
        continue;
      }
      try {
        const bytes = await (isFetched(name) ? fetchImage(name, this.signal) : imageOf(process.stdin, this.signal));
        this.#names.set(bytes, name);
        yield bytes;
      } catch (error) {
        if (!(error instanceof PictureError)) throw error;
        this.failed(error, name);
      }
    }
  }

  /** The name of an image that was opened, whose bytes are not needed any longer. */
  nameOf(image: ImageInput): string {
    const name = this.#names.get(image);
    this.#names.delete(image);
    return name ?? String(image);
  }
}

/** @throws UsageError if the image on stdin can never come */
export function checkStdin(inputs: readonly string[], stdin: { isTTY?: boolean } = process.stdin): void {
  if (inputs.includes(stdinName) && stdin.isTTY)
    throw new UsageError("Expected an image on stdin for - but it is a terminal: pipe one in, or give its file");
}

/** The bytes of one image. @throws PictureError; the signal's reason when it is aborted */
async function imageOf(stream: Readable, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const bytes = await bytesOf(addAbortSignal(signal, stream));
    if (bytes.length > 0) return bytes;
  } catch (cause) {
    signal.throwIfAborted();
    throw new PictureError("ERR_PICTURE_INPUT", `Expected an image on stdin but reading failed: ${reasonOf(cause)}`, {
      cause,
    });
  }
  throw new PictureError("ERR_PICTURE_INPUT", "Expected the bytes of an image on stdin but received none");
}

/** What is wrong with an image, by its name: its bytes have none. */
export const namedIn = (message: string, name: string): string =>
  isLocal(name) ? message : message.replaceAll("the given data", shownImage(name));
