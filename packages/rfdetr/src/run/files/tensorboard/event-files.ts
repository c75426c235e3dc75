// The event files of TensorBoard: TFRecord framing with masked CRC-32C, written and read back without its library.
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { keepRanges, type Range } from "../log-file.js";

/** What the names of event files begin with; the second in which they were begun and the host follow. */
export const eventPrefix = "events.out.tfevents.";
/** A longer record is none of ours. */
const longest = 64 << 20;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4). @internal for tests */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The rotation and offset that TFRecord applies, because the CRC of data that contains CRCs would be weak. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/**
 * One TFRecord: length, its CRC, the data, its CRC; all little-endian.
 * @internal for tests
 */
export function frame(data: Uint8Array): Buffer {
  const record = Buffer.alloc(16 + data.length);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(crc32c(record.subarray(0, 8))), 8);
  record.set(data, 12);
  record.writeUInt32LE(masked(crc32c(data)), 12 + data.length);
  return record;
}

/** A record of a file. */
export interface EventRecord {
  range: Range;
  /** Null where its bytes are not those of its CRC. */
  data: Buffer | null;
}

/**
 * The records of a file, in order. Reading stops at one that is cut off. Where a length is damaged, no record after it
 * can be found: the rest of the file is one damaged record.
 * @internal for tests
 */
export function* recordsOf(path: string): Generator<EventRecord> {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const head = Buffer.alloc(12);
    for (let at = 0; at + 16 <= size; ) {
      readSync(file, head, 0, 12, at);
      const length = Number(head.readBigUInt64LE(0));
      if (head.readUInt32LE(8) !== masked(crc32c(head.subarray(0, 8))) || length > longest) {
        yield { range: [at, size], data: null };
        return;
      }
      if (at + 16 + length > size) return;
      const body = Buffer.alloc(length + 4);
      readSync(file, body, 0, body.length, at + 12);
      const data = body.subarray(0, length);
      const end = at + 16 + length;
      yield { range: [at, end], data: body.readUInt32LE(length) === masked(crc32c(data)) ? data : null };
      at = end;
    }
  } finally {
    closeSync(file);
  }
}

/** The event files of a folder, oldest first. */
function eventFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(eventPrefix))
    .sort();
}

/** The second in the name of the newest event file; 0 where there is none. */
export function lastSecond(folder: string): number {
  return Number.parseInt(eventFiles(folder).at(-1)?.slice(eventPrefix.length) ?? "0", 10) || 0;
}

/**
 * Drops events from the files of a folder, and records that are damaged or cut off.
 * @param wanted whether an event stays, by its step and its bytes
 * @returns the number of damaged records
 */
export function keepEvents(folder: string, wanted: (step: number, event: Buffer) => boolean): number {
  let damaged = 0;
  for (const name of eventFiles(folder)) {
    const path = join(folder, name);
    const kept: Range[] = [];
    for (const { range, data } of recordsOf(path)) {
      if (data === null) damaged++;
      else if (wanted(stepOf(data), data)) kept.push(range);
    }
    keepRanges(path, kept);
  }
  return damaged;
}

/** The step of an event (its field 2); 0 where it has none. */
function stepOf(event: Buffer): number {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; at < event.length; factor *= 128) {
      const byte = event[at++];
      value += (byte & 127) * factor;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < event.length) {
    const key = varint();
    if (key === 2 * 8) return varint();
    const wire = key % 8;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 2) at += varint();
    else if (wire === 5) at += 4;
    else return 0;
  }
  return 0;
}
