// Reads zip archives entry by entry, so that a wheel of half a gigabyte is never in memory.
import { createReadStream, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { createInflateRaw, inflateRawSync } from "node:zlib";

/** @typedef {{name: string, method: number, compressed: number, size: number, offset: number}} ZipEntry */

/** The central directory. @param {string} path @returns {Promise<ZipEntry[]>} */
export async function readDirectory(path) {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, 65_557));
    await file.read(tail, 0, tail.length, size - tail.length);
    const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
    if (end < 0) throw new Error(`${path} is not a whole zip archive: its directory is missing`);
    const count = tail.readUInt16LE(end + 10);
    const directory = Buffer.alloc(tail.readUInt32LE(end + 12));
    const start = tail.readUInt32LE(end + 16);
    if (start + directory.length > size)
      throw new Error(`${path} is not a whole zip archive: its directory lies outside of it`);
    await file.read(directory, 0, directory.length, start);
    const entries = [];
    for (let at = 0, i = 0; i < count; i++) {
      if (directory.readUInt32LE(at) !== 0x02014b50) throw new Error(`${path} has a broken directory at entry ${i}`);
      const nameLength = directory.readUInt16LE(at + 28);
      entries.push({
        name: directory.toString("utf8", at + 46, at + 46 + nameLength),
        method: directory.readUInt16LE(at + 10),
        compressed: directory.readUInt32LE(at + 20),
        size: directory.readUInt32LE(at + 24),
        offset: directory.readUInt32LE(at + 42),
      });
      at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    }
    return entries;
  } finally {
    await file.close();
  }
}

/** Where the bytes of an entry begin. @param {string} path @param {ZipEntry} entry @param {Buffer} header */
function startOf(path, entry, header) {
  if (header.readUInt32LE(0) !== 0x04034b50)
    throw new Error(`${path} has no file where its directory places ${entry.name}`);
  if (entry.method !== 0 && entry.method !== 8)
    throw new Error(`${path} stores ${entry.name} by method ${entry.method}, which is not known`);
  return entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
}

/**
 * The uncompressed bytes of a small entry, at once: a stream costs more than they do.
 * @param {string} path @param {number} file the open archive @param {ZipEntry} entry
 */
export function readEntry(path, file, entry) {
  const header = Buffer.alloc(30);
  readSync(file, header, 0, 30, entry.offset);
  const raw = Buffer.alloc(entry.compressed);
  readSync(file, raw, 0, raw.length, startOf(path, entry, header));
  return entry.method === 0 ? raw : inflateRawSync(raw, { maxOutputLength: Math.max(1, entry.size) });
}

/** The uncompressed bytes of one entry. @param {string} path @param {ZipEntry} entry */
export async function openEntry(path, entry) {
  const file = await open(path, "r");
  const header = Buffer.alloc(30);
  await file.read(header, 0, 30, entry.offset);
  await file.close();
  const start = startOf(path, entry, header);
  const raw = createReadStream(path, { start, end: start + Math.max(entry.compressed, 1) - 1, highWaterMark: 1 << 20 });
  if (entry.method === 0) return raw;
  // Large pieces: each goes to another thread and back.
  const inflate = createInflateRaw({ chunkSize: 1 << 20 });
  raw.on("error", (error) => inflate.destroy(error));
  return raw.pipe(inflate);
}
