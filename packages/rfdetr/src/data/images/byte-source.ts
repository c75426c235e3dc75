// Random access to the bytes of a file or of memory.
import { readSync } from "node:fs";

/** Bytes that are read from a file at once. A header lies within the first of such windows as a rule. */
const windowBytes = 16 << 10;

/** The bytes of an open file, read a window at a time, or bytes in memory. */
export class ByteSource {
  readonly #file: number | null;
  #window: Buffer;
  #start = 0;

  /** @param from an open file, or bytes */
  constructor(from: number | Uint8Array) {
    this.#file = typeof from === "number" ? from : null;
    this.#window =
      typeof from === "number" ? Buffer.alloc(0) : Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  }

  /** The bytes from `offset` on, `length` of them; null where the file ends before. Valid until the next call. */
  at(offset: number, length: number): Buffer | null {
    const inWindow = (): boolean => offset >= this.#start && offset + length <= this.#start + this.#window.length;
    if (!inWindow()) {
      if (this.#file === null || !Number.isSafeInteger(offset) || offset < 0) return null;
      const window = Buffer.alloc(Math.max(windowBytes, length));
      this.#window = window.subarray(0, readSync(this.#file, window, 0, window.length, offset));
      this.#start = offset;
      if (!inWindow()) return null;
    }
    return this.#window.subarray(offset - this.#start, offset - this.#start + length);
  }

  /** The first bytes, at most `length`: fewer where the file is shorter. */
  beginning(length: number): Buffer {
    this.at(0, length);
    return this.#start === 0 ? this.#window.subarray(0, length) : Buffer.alloc(0);
  }
}
