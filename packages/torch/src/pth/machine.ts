// The stack machine that a pickle is a program for. It reads the opcodes' arguments and refuses what is broken.
import { PthError } from "./error.js";
import type { PickledStorage } from "./pickled.js";

const maxDepth = 1_000_000;
const maxLine = 10_000;

/** Marks where a tuple, a list or the items of a dict begin on the stack. */
export const mark = Symbol("mark");

export class Machine {
  readonly memo = new Map<number, unknown>();
  /** Every storage that the pickle named, by key. */
  readonly storages = new Map<string, PickledStorage>();
  readonly #stack: unknown[] = [];

  /** @param at the byte that is read next */
  constructor(
    readonly bytes: Buffer,
    readonly path: string,
    public at: number,
  ) {}

  /** @throws PthError */
  broken(what: string): never {
    throw new PthError(this.path, `has a broken pickle: ${what} at byte ${this.at}`);
  }

  // --- reading ---

  take(length: number): Buffer {
    if (!(length >= 0) || this.at + length > this.bytes.length) this.broken("a value reaches beyond the end");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  byte(): number {
    return this.take(1).readUInt8();
  }
  uint32(): number {
    return this.take(4).readUInt32LE();
  }
  /** The text up to the next line feed. */
  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0 || end - this.at > maxLine) this.broken("a line without an end");
    const text = this.bytes.toString("utf8", this.at, end);
    this.at = end + 1;
    return text;
  }
  /** A little-endian integer in two's complement of any length; a bigint where a number would not be exact. */
  long(length: number): number | bigint {
    let value = 0n;
    for (const byte of [...this.take(length)].reverse()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  // --- the stack ---

  push(value: unknown): void {
    if (this.#stack.length > maxDepth) this.broken("too deep a stack");
    this.#stack.push(value);
  }
  pop(): unknown {
    return this.#stack.length === 0 ? this.broken("an empty stack") : this.#stack.pop();
  }
  top(): unknown {
    return this.#stack.length === 0 ? this.broken("an empty stack") : this.#stack.at(-1);
  }
  /** The last `count` values, in the order in which they were pushed. */
  popped(count: number): unknown[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }
  /** The values above the last mark; removes them and the mark. */
  popMark(): unknown[] {
    const from = this.#stack.lastIndexOf(mark);
    if (from < 0) this.broken("a missing mark");
    const values = this.#stack.splice(from + 1);
    this.#stack.pop();
    return values;
  }

  // --- what a value must be ---

  text(value: unknown): string {
    return typeof value === "string" ? value : this.broken("a name that is not a string");
  }
  integer(value: unknown): number {
    return Number.isSafeInteger(value) ? (value as number) : this.broken("a size that is not an integer");
  }
  list(value: unknown): unknown[] {
    return Array.isArray(value) ? value : this.broken("something that is not a tuple or a list");
  }
}
