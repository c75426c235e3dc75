// Images at an address.
import type { Dispatcher } from "undici";
import { PictureError } from "../../support/errors.js";
import { reasonOf } from "../../support/files/system-error.js";
import { shownAddress } from "./address.js";

/** Most bytes of a downloaded image. */
const limit = 256 * 2 ** 20;
/** Milliseconds that a download may take. */
const patience = 60_000;

/** Keeps connections open from one image to the next. */
let dispatcher: Dispatcher | null = null;

/**
 * Downloads an image. The proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are used.
 * @param url of `http:`, `https:` or `data:`
 * @returns the bytes of its file
 * @throws PictureError `ERR_PICTURE_INPUT` that names the address, without its query and password
 * @throws the signal's reason when it is aborted
 */
export async function fetchImage(url: string, signal?: AbortSignal): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(patience);
  try {
    const { EnvHttpProxyAgent, fetch } = await import("undici");
    dispatcher ??= new EnvHttpProxyAgent();
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const response = await fetch(url, { dispatcher, signal: either });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
    }
    return await bytesOf(response.body ?? []);
  } catch (cause) {
    signal?.throwIfAborted();
    const reason = timeout.aborted ? `${patience / 1000} seconds passed` : whyNot(cause);
    throw new PictureError("ERR_PICTURE_INPUT", `Expected an image at ${shownAddress(url)} but ${reason}`, { cause });
  }
}

/** All bytes of a stream. @throws an error where it has more than an image may have */
export async function bytesOf(stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    // Leaving the loop ends the download.
    if (length > limit) throw new Error(`${limit} bytes are allowed, and the file has more`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** `fetch failed` is all that fetch says itself; the reason is its cause. */
function whyNot(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error ? `the download failed: ${reasonOf(cause)}` : (error as Error).message;
}
