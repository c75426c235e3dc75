// Files of tensors: opening them safely, and reads and writes that end when all bytes have been moved.
import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from "node:fs";

/** Most bytes that one call of the system moves; some systems fail above 2 GiB. */
const maxChunk = 1 << 30;

/**
 * Opens a file for reading. A device or a named pipe is refused before it is opened: reading one may never end.
 * @param broken makes the error that is thrown, from what the file is
 * @throws the error of `broken`; an error of the file system
 */
export function openToRead(path: string, broken: (found: string) => Error): { file: number; size: number } {
  const other = statSync(path).isFile() ? undefined : "is not a file";
  if (other !== undefined) throw broken(other);
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const head = Buffer.alloc(Math.min(size, 512));
    readFully(file, head, 0);
    const stub = size === 0 ? "is empty" : stubOf(head.toString("latin1"));
    if (stub !== undefined) throw broken(stub);
    return { file, size };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** What stands where a file of tensors should, when a download went wrong. */
function stubOf(head: string): string | undefined {
  if (head.startsWith("version https://git-lfs"))
    return "is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`";
  if (/^\s*<(!doctype|html|head|body|\?xml|error)\b/i.test(head.replace(/^\xef\xbb\xbf/, "")))
    return "is a web page, such as a login or an error, not the file itself: download it again";
  return undefined;
}

/** Text of a file for an error message: not longer than a line. */
export function shown(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 97)}…`;
}

/** Fills `bytes` from a position of the file. @returns the bytes read: fewer than asked for when the file ends */
export function readFully(file: number, bytes: Buffer, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(file, bytes, done, Math.min(bytes.length - done, maxChunk), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `bytes` where the file stands. */
export function writeFully(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}
