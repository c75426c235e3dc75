// Reads and writes that end when all bytes have been moved.
import { readSync, writeSync } from "node:fs";

/** Most bytes that one call of the system moves; some systems fail above 2 GiB. */
const maxChunk = 1 << 30;

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
