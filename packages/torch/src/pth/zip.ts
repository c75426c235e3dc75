// The directory of a zip archive: where the bytes of each entry are. Checkpoints of torch are not compressed.
import { fstatSync, readSync } from "node:fs";
import { PthError } from "./error.js";

export interface ZipEntry {
  /** Where the entry's bytes begin in the file. */
  offset: number;
  size: number;
}

/** Most bytes that a directory may have. */
const maxDirectory = 64 << 20;

function read(file: number, path: string, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  if (offset < 0 || readSync(file, bytes, 0, length, offset) < length) throw new PthError(path, "is cut off");
  return bytes;
}

/**
 * The entries by name.
 * @throws PthError when the archive is broken or compressed, or places an entry outside of itself
 */
export function readZip(file: number, path: string): Map<string, ZipEntry> {
  const size = fstatSync(file).size;
  const tailLength = Math.min(size, 65_557);
  const tail = read(file, path, size - tailLength, tailLength);
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0 || end + 22 > tail.length)
    throw new PthError(path, "is not a zip archive, or is cut off: its directory is missing");
  let count = tail.readUInt16LE(end + 10);
  let length = tail.readUInt32LE(end + 12);
  let start = tail.readUInt32LE(end + 16);
  const locator = end - 20;
  if (locator >= 0 && tail.readUInt32LE(locator) === 0x07064b50) {
    const wide = read(file, path, Number(tail.readBigUInt64LE(locator + 8)), 56);
    if (wide.readUInt32LE(0) !== 0x06064b50) throw new PthError(path, "has a broken directory");
    count = Number(wide.readBigUInt64LE(32));
    length = Number(wide.readBigUInt64LE(40));
    start = Number(wide.readBigUInt64LE(48));
  }
  if (length > maxDirectory || start + length > size)
    throw new PthError(path, "places its directory outside of itself");
  const directory = read(file, path, start, length);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
      throw new PthError(path, `has a broken directory at entry ${i}`);
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    if (directory.readUInt16LE(at + 10) !== 0) throw new PthError(path, `compresses ${name}, which torch never does`);
    let entrySize = directory.readUInt32LE(at + 24);
    let header = directory.readUInt32LE(at + 42);
    // Where a short field is all ones, its value is beyond 4 GB and in the extra field, in this order.
    const extra = directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    for (let e = 0; e + 4 <= extra.length; e += 4 + extra.readUInt16LE(e + 2)) {
      if (extra.readUInt16LE(e) !== 1) continue;
      let field = e + 4;
      const next = (): number => {
        if (field + 8 > extra.length) throw new PthError(path, `has a broken entry ${name}`);
        const value = Number(extra.readBigUInt64LE(field));
        field += 8;
        return value;
      };
      if (entrySize === 0xffffffff) entrySize = next();
      if (directory.readUInt32LE(at + 20) === 0xffffffff) next();
      if (header === 0xffffffff) header = next();
    }
    const local = read(file, path, header, 30);
    if (local.readUInt32LE(0) !== 0x04034b50)
      throw new PthError(path, `has nothing where its directory places ${name}`);
    const offset = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    if (offset + entrySize > size) throw new PthError(path, `places ${name} outside of itself`);
    entries.set(name, { offset, size: entrySize });
    at += 46 + nameLength + extraLength + directory.readUInt16LE(at + 32);
  }
  return entries;
}
