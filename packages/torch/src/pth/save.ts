// Writes checkpoints of torch: an uncompressed zip archive with a pickle and the bytes of every tensor.
import { closeSync, fsyncSync, openSync } from "node:fs";
import { crc32 } from "node:zlib";
import { writeFully } from "../files.js";
import { PthError } from "./error.js";
import { type Picklable, pickle } from "./pickle.js";

/** torch maps tensors from the file: their bytes must begin at multiples of this. */
const alignment = 64;
/** The largest offset or size in a zip archive without the 64-bit extension. */
const largest = 0xffff_ffff;

interface Entry {
  name: Buffer;
  offset: number;
  size: number;
  crc: number;
}

/**
 * Writes a checkpoint that `torch.load(path, weights_only=True)` of torch 1.6 and later reads. Each tensor is written
 * contiguous, with a storage of its own.
 * @throws PthError for more than 4 GiB; TypeError for a value that is not {@link Picklable}; an error of the
 * file system
 *
 * @example
 * savePth("model.pth", { model: model.stateDict(), epoch: 3 });
 */
export function savePth(path: string, content: Picklable): void {
  const { bytes, tensors } = pickle(content);
  const file = openSync(path, "w");
  const entries: Entry[] = [];
  let at = 0;
  const write = (chunk: Uint8Array): void => {
    writeFully(file, chunk);
    at += chunk.length;
  };
  const add = (name: string, data: Uint8Array): void => {
    const entry: Entry = { name: Buffer.from(`archive/${name}`), offset: at, size: data.length, crc: crc32(data) };
    if (at + data.length + 4096 > largest)
      throw new PthError(path, "would be larger than 4 GiB, which is not supported");
    entries.push(entry);
    // An extra field pads to the alignment, as in torch's own writer.
    const from = at + 30 + entry.name.length + 4;
    const padding = (alignment - (from % alignment)) % alignment;
    const extra = Buffer.alloc(4 + padding, "Z");
    extra.write("FB", "latin1");
    extra.writeUInt16LE(padding, 2);
    write(Buffer.concat([localHeader(entry, extra.length), entry.name, extra]));
    write(data);
  };
  try {
    add("data.pkl", bytes);
    add(".format_version", Buffer.from("1"));
    add(".storage_alignment", Buffer.from(String(alignment)));
    add("byteorder", Buffer.from("little"));
    tensors.forEach((tensor, key) => {
      const bits = tensor.toBits();
      add(`data/${key}`, new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength));
    });
    add("version", Buffer.from("3\n"));
    const directory = Buffer.concat(entries.map((entry) => Buffer.concat([centralHeader(entry), entry.name])));
    const start = at;
    write(directory);
    write(endRecord(entries.length, directory.length, start));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function localHeader({ name, size, crc }: Entry, extra: number): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  fields(header, 4, crc, size, name.length, extra);
  return header;
}

function centralHeader({ name, size, crc, offset }: Entry): Buffer {
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  fields(header, 6, crc, size, name.length, 0);
  header.writeUInt32LE(offset, 42);
  return header;
}

/**
 * The fields that both headers share, from the version needed on: not compressed, no date, checksum, sizes, lengths.
 */
function fields(header: Buffer, at: number, crc: number, size: number, name: number, extra: number): void {
  // Bit 11: names are UTF-8.
  header.writeUInt16LE(0x800, at + 2);
  header.writeUInt32LE(crc, at + 10);
  header.writeUInt32LE(size, at + 14);
  header.writeUInt32LE(size, at + 18);
  header.writeUInt16LE(name, at + 22);
  header.writeUInt16LE(extra, at + 24);
}

function endRecord(count: number, length: number, start: number): Buffer {
  const record = Buffer.alloc(22);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(count, 8);
  record.writeUInt16LE(count, 10);
  record.writeUInt32LE(length, 12);
  record.writeUInt32LE(start, 16);
  return record;
}
