// The first directory of a TIFF file. EXIF data is a TIFF file inside another file.
import type { ByteSource } from "./byte-source.js";

/** Tags that matter here (TIFF 6.0, section 8; DNG 1.7, chapter 4). */
export const tiffTags = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  colours: 262,
  orientation: 274,
  stripOffsets: 273,
  samples: 277,
  stripBytes: 279,
  tileWidth: 322,
  tileOffsets: 324,
  tileBytes: 325,
  sampleFormat: 339,
  dngVersion: 50706,
} as const;

/** Bytes of a value of each type, from 0 on (TIFF 6.0, section 2; the types from 16 on are those of BigTIFF). */
const typeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];
const integers: ReadonlySet<number> = new Set([3, 4, 16]);

/** A longer list of values is not read. */
const mostValues = 1 << 16;

/** The entries of the first directory. */
export interface TiffDirectory {
  little: boolean;
  /** Offsets and counts have eight bytes. */
  big: boolean;
  /** Each entry as it stands in the file, by tag, in the order of the file. */
  entries: ReadonlyMap<number, Buffer>;
  /** The first value of a tag; undefined where the tag is absent, 0 where its values are no integers. */
  first: (tag: number) => number | undefined;
  /** All values of a tag; undefined where it is absent, no list of integers, too long, or cut off. */
  all: (tag: number) => number[] | undefined;
  /** Where the bytes of a tag's values end, relative to the header; 0 where they are in the directory. */
  endOf: (tag: number) => number;
}

/**
 * The first directory.
 * @param start offset of the TIFF header
 * @returns null if there is no TIFF header or the directory is cut off
 */
export function readTiffDirectory(source: ByteSource, start: number): TiffDirectory | null {
  const head = source.at(start, 8);
  if (head === null) return null;
  const order = head.toString("latin1", 0, 2);
  if (order !== "II" && order !== "MM") return null;
  const little = order === "II";
  const u16 = (b: Buffer, at: number): number => (little ? b.readUInt16LE(at) : b.readUInt16BE(at));
  const u32 = (b: Buffer, at: number): number => (little ? b.readUInt32LE(at) : b.readUInt32BE(at));
  const u64 = (b: Buffer, at: number): number => Number(little ? b.readBigUInt64LE(at) : b.readBigUInt64BE(at));
  const version = u16(head, 2);
  if (version !== 42 && version !== 43) return null;
  const big = version === 43;
  const offset = big ? source.at(start + 8, 8) : head.subarray(4);
  if (offset === null) return null;
  const directory = start + (big ? u64(offset, 0) : u32(offset, 0));
  const counted = source.at(directory, big ? 8 : 2);
  if (counted === null) return null;
  const count = big ? u64(counted, 0) : u16(counted, 0);
  const size = big ? 20 : 12;
  const found = count > 0xffff ? null : source.at(directory + (big ? 8 : 2), count * size);
  if (found === null) return null;
  // The source's bytes are valid until it reads others.
  const bytes = Buffer.from(found);
  const entries = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; at += size) entries.set(u16(bytes, at), bytes.subarray(at, at + size));

  const value = (type: number, at: Buffer, i: number): number =>
    type === 3 ? u16(at, i * 2) : type === 4 ? u32(at, i * 4) : u64(at, i * 8);
  const listOf = (entry: Buffer): { type: number; count: number; room: Buffer; outside: number | null } => {
    const [type, count, room] = [u16(entry, 2), big ? u64(entry, 4) : u32(entry, 4), entry.subarray(big ? 12 : 8)];
    const elsewhere = count * (typeBytes[type] ?? 0) > room.length;
    return { type, count, room, outside: elsewhere ? (big ? u64(room, 0) : u32(room, 0)) : null };
  };
  const endOf = (tag: number): number => {
    const list = entries.has(tag) ? listOf(entries.get(tag) as Buffer) : null;
    return list === null || list.outside === null ? 0 : list.outside + list.count * typeBytes[list.type];
  };
  const all = (tag: number, most = mostValues): number[] | undefined => {
    const entry = entries.get(tag);
    if (entry === undefined) return undefined;
    const { type, count, room, outside } = listOf(entry);
    if (!integers.has(type) || count === 0 || count > mostValues || (type === 16 && !big)) return undefined;
    const length = Math.min(count, most);
    const at = outside === null ? room : source.at(start + outside, length * typeBytes[type]);
    return at === null ? undefined : Array.from({ length }, (_, i) => value(type, at, i));
  };
  const first = (tag: number): number | undefined => (entries.has(tag) ? (all(tag, 1)?.[0] ?? 0) : undefined);
  return { little, big, entries, first, all, endOf };
}
