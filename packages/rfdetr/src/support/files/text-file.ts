// Text files that users give: UTF-8, or UTF-16 as PowerShell and Excel write it, with or without a byte order mark.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { DataError } from "../errors.js";
import { reasonOf } from "./system-error.js";

/** Makes the error of a reader from its sentence and its cause. */
export type Fail = (message: string, cause?: unknown) => Error;

/** Makes the error of a reader of datasets. */
export const dataFail: Fail = (message, cause) => new DataError(message, { cause });

/** Encoding of a text by its first bytes, and how many of them are the byte order mark. */
function encodingOf(head: Buffer): { encoding: "utf-8" | "utf-16le" | "utf-16be"; mark: number } {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { encoding: "utf-8", mark: 3 };
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: "utf-16le", mark: 2 };
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: "utf-16be", mark: 2 };
  return { encoding: "utf-8", mark: 0 };
}

/**
 * Opens a text file and gives it piece by piece, as UTF-8 without a byte order mark.
 * @param what for the message, such as "JSON file"
 * @param size bytes of the file that one piece takes at most
 * @throws what `fail` makes, for a file that cannot be read or is no file: a device or a pipe may never end
 */
export function* textPieces(path: string, what: string, size: number, fail: Fail): Generator<Buffer> {
  const refuse: (reason: string, cause?: unknown) => never = (reason, cause) => {
    throw fail(`Expected a readable ${what} but ${path} cannot be read: ${reason}`, cause);
  };
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      return refuse(reasonOf(error), error);
    }
  };
  const stats = attempt(() => statSync(path));
  // A shell gives the output of a command as a pipe in /dev; other pipes have nobody who writes.
  if (!stats.isFile() && !(stats.isFIFO() && path.startsWith("/dev/")))
    refuse(stats.isDirectory() ? "it is a folder" : "it is a device or a pipe");
  const file = attempt(() => openSync(path, "r"));
  try {
    const read = (): Buffer => {
      const piece = Buffer.allocUnsafe(size);
      return piece.subarray(
        0,
        attempt(() => readSync(file, piece, 0, size, null)),
      );
    };
    let piece = read();
    const { encoding, mark } = encodingOf(piece);
    piece = piece.subarray(mark);
    const decoder = encoding === "utf-8" ? null : new TextDecoder(encoding);
    for (; piece.length > 0; piece = read())
      yield decoder === null ? piece : Buffer.from(decoder.decode(piece, { stream: true }));
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a text file whole.
 * @param limit bytes that it may have at most
 * @throws what `fail` makes, for a file that cannot be read or is larger
 */
export function readText(path: string, what: string, limit: number, fail: Fail): string {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for (const piece of textPieces(path, what, 64 << 10, fail)) {
    bytes += piece.length;
    if (bytes > limit)
      throw fail(`Expected a ${what} of at most ${Math.round(limit / 1e6)} MB but ${path} is larger than that`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, bytes).toString("utf8");
}
