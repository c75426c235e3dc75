// TensorBoard event files: TFRecord framing with masked CRC-32C around three small protobuf messages, written without
// their libraries.
import { closeSync, fstatSync, ftruncateSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

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

/** The complete records at the start of a file; reading stops at the first that is cut off. @internal for tests */
export function* frames(file: Uint8Array): Generator<Uint8Array> {
  const view = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at + 16 <= view.length; ) {
    const length = Number(view.readBigUInt64LE(at));
    if (at + 16 + length > view.length) return;
    const data = view.subarray(at + 12, at + 12 + length);
    if (view.readUInt32LE(at + 12 + length) !== masked(crc32c(data))) return;
    yield data;
    at += 16 + length;
  }
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

const key = (field: number, wire: number) => Buffer.from(varint(field * 8 + wire));
const int = (field: number, value: number) => Buffer.concat([key(field, VARINT), Buffer.from(varint(value))]);
const message = (field: number, data: Uint8Array) =>
  Buffer.concat([key(field, BYTES), Buffer.from(varint(data.length)), data]);
const text = (field: number, value: string) => message(field, Buffer.from(value, "utf8"));
function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, FIXED32), data]);
}
function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, FIXED64), data]);
}

/** `Event { wall_time = 1, file_version = 3 }`. @param seconds since 1970. @internal for tests */
export const versionEvent = (seconds: number) => Buffer.concat([double(1, seconds), text(3, "brain.Event:2")]);

/** `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`. @internal for tests */
export function scalarsEvent(seconds: number, step: number, scalars: Readonly<Record<string, number>>): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) =>
    message(1, Buffer.concat([text(1, tag), float(2, value)])),
  );
  return Buffer.concat([double(1, seconds), int(2, step), message(5, Buffer.concat(values))]);
}

/** Appends scalars to `events.out.tfevents.*` in a folder. TensorBoard shows them while the run goes on. */
export class TensorBoardWriter {
  readonly #file: number;

  /** Continues the folder's newest event file, or begins one. First removes a record that a kill cut off. */
  constructor(folder: string) {
    const found = readdirSync(folder)
      .filter((name) => name.startsWith("events.out.tfevents."))
      .sort()
      .at(-1);
    const seconds = Date.now() / 1000;
    this.#file = openSync(
      join(folder, found ?? `events.out.tfevents.${Math.floor(seconds)}.${hostname()}`),
      found ? "a+" : "a",
    );
    if (found) this.#trim(join(folder, found));
    else writeSync(this.#file, frame(versionEvent(seconds)));
  }

  #trim(path: string): void {
    const size = fstatSync(this.#file).size;
    let whole = 0;
    for (const data of frames(readFileSync(path))) whole += 16 + data.length;
    if (whole < size) ftruncateSync(this.#file, whole);
  }

  /** Writes the scalars of a step; those that are missing or not finite are left out. */
  scalars(step: number, scalars: Readonly<Record<string, number | null | undefined>>): void {
    const finite = Object.fromEntries(
      Object.entries(scalars).flatMap(([name, value]) => (Number.isFinite(value) ? [[name, value as number]] : [])),
    );
    if (Object.keys(finite).length > 0) writeSync(this.#file, frame(scalarsEvent(Date.now() / 1000, step, finite)));
  }

  close(): void {
    closeSync(this.#file);
  }
}
