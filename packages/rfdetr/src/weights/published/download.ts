// Downloads a file: continues what was interrupted, and ends by itself when the server stalls or never ends.
import { createWriteStream, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Response } from "undici";
import { leftoversOf, scratchPath } from "../../support/files/scratch.js";
import { isFull } from "../../support/files/system-error.js";

/** How a download goes. */
export interface FetchOptions {
  /** Called with the bytes received and the bytes in total, which are null if the server does not say. */
  progress?: (done: number, total: number | null) => void;
  signal?: AbortSignal;
  /** Bytes after which it is given up. Default: 4 GiB. */
  limit?: number;
  /** Milliseconds without a byte after which it is given up. Default: a minute. */
  stall?: number;
}

/**
 * Downloads a URL to a file beside `path`, whose name no other download uses at the same time. What an interrupted
 * download of the same file left behind is continued.
 * @param finish called with the file's path when it is complete: it renames the file or throws. What is there
 * afterwards is removed, if `finish` threw, and kept for the next time if the download was interrupted
 */
export async function download(
  url: string,
  path: string,
  options: FetchOptions,
  finish: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = takeOver(path);
  try {
    await fetchTo(url, temporary, options);
  } catch (error) {
    // What fills a disk is in the way of whoever makes room.
    if (isFull(error)) rmSync(temporary, { force: true });
    else if (existsSync(temporary)) renameSync(temporary, `${path}.part`);
    throw error;
  }
  try {
    await finish(temporary);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A new path, with the most of what earlier downloads left behind. Only one of several that try gets that. */
function takeOver(path: string): string {
  const part = `${path}.part`;
  const [longest] = leftoversOf(path).sort((a, b) => sizeOf(b) - sizeOf(a));
  // scratchPath() removes what is not moved.
  if (longest !== undefined && sizeOf(longest) > sizeOf(part)) move(longest, part);
  const temporary = scratchPath(path);
  move(part, temporary);
  return temporary;
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // There is none, or another download was faster.
  }
}

/** Fetches a URL to the end of a file. */
async function fetchTo(url: string, file: string, options: FetchOptions): Promise<void> {
  const { stall = 60_000, signal } = options;
  const stalled = new AbortController();
  const watch = setTimeout(
    () => stalled.abort(new Error(`${stall / 1000} seconds passed without a byte from the server`)),
    stall,
  );
  const either = signal === undefined ? stalled.signal : AbortSignal.any([signal, stalled.signal]);
  try {
    const have = sizeOf(file);
    const response = await ask(url, have, either);
    if (isComplete(response, have)) return;
    if (have > 0 && (response.status === 416 || (response.status === 206 && !continues(response, have)))) {
      // What is there is longer than the server's file, or cannot be continued.
      await response.body?.cancel();
      await receive(await ask(url, 0, either), file, 0, options, watch);
    } else await receive(response, file, response.status === 206 ? have : 0, options, watch);
  } catch (error) {
    if (stalled.signal.aborted) throw stalled.signal.reason;
    throw error;
  } finally {
    clearTimeout(watch);
  }
}

async function ask(url: string, from: number, signal: AbortSignal): Promise<Response> {
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  return await fetch(url, {
    // Honours HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
    dispatcher: new EnvHttpProxyAgent(),
    headers: { "accept-encoding": "identity", ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    signal,
  });
}

/** Whether the answer to a request for the rest of a file says that there is none. */
function isComplete(response: Response, have: number): boolean {
  if (response.status !== 416 || have === 0) return false;
  const size = /^bytes \*\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return size === undefined || Number(size) === have;
}

/** Whether an answer in part starts at the byte that was asked for, in bytes of the file itself. */
function continues(response: Response, have: number): boolean {
  const range = response.headers.get("content-range") ?? `bytes ${have}-`;
  return range.startsWith(`bytes ${have}-`) && !isEncoded(response);
}

/** Whether the server compressed the answer, although it was asked not to; the length is then that of other bytes. */
function isEncoded(response: Response): boolean {
  return (response.headers.get("content-encoding") ?? "identity") !== "identity";
}

async function receive(
  response: Response,
  file: string,
  have: number,
  { progress, limit = 4 * 2 ** 30 }: FetchOptions,
  watch: NodeJS.Timeout,
): Promise<void> {
  if (!response.ok || response.body === null)
    throw new Error(`the server answers ${response.status} ${response.statusText}`.trim());
  const length = isEncoded(response) ? Number.NaN : Number(response.headers.get("content-length") ?? Number.NaN);
  const total = Number.isFinite(length) ? have + length : null;
  let done = have;
  const tooLong = () => new Error(`${limit} bytes are allowed, and the file has more`);
  if (total !== null && total > limit) throw tooLong();
  const counter = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      watch.refresh();
      done += chunk.length;
      try {
        progress?.(done, total);
      } catch (error) {
        return next(error as Error);
      }
      next(done > limit ? tooLong() : null, chunk);
    },
  });
  try {
    await pipeline(
      Readable.fromWeb(response.body as never),
      counter,
      createWriteStream(file, { flags: have > 0 ? "a" : "w" }),
    );
  } catch (error) {
    if (done > limit) rmSync(file);
    throw error;
  }
  if (total !== null && done < total) throw new Error(`${done} of ${total} bytes came before the connection ended`);
}
