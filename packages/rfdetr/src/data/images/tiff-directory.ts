// The first directory of a TIFF file. EXIF data is a TIFF file inside another file.
import type { ByteSource } from "./byte-source.js";

/** Tags that matter here (TIFF 6.0, section 8; DNG 1.7, chapter 4). */
export const tiffTags = { width: 256, height: 257, orientation: 274, dngVersion: 50706 } as const;

/**
 * The first value of each tag in the first directory, where it is an integer; 0 for values of another type.
 * @param start offset of the TIFF header
 * @returns null if there is no TIFF header or the directory is cut off
 */
export function readTiffDirectory(source: ByteSource, start: number): Map<number, number> | null {
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
  // BigTIFF has offsets and counts of eight bytes.
  const big = version === 43;
  const offset = big ? source.at(start + 8, 8) : head.subarray(4);
  if (offset === null) return null;
  const directory = start + (big ? u64(offset, 0) : u32(offset, 0));
  const counted = source.at(directory, big ? 8 : 2);
  if (counted === null) return null;
  const count = big ? u64(counted, 0) : u16(counted, 0);
  const entry = big ? 20 : 12;
  const entries = count > 0xffff ? null : source.at(directory + (big ? 8 : 2), count * entry);
  if (entries === null) return null;
  const values = new Map<number, number>();
  for (let at = 0; at < entries.length; at += entry) {
    const value = at + (big ? 12 : 8);
    const type = u16(entries, at + 2);
    const number = type === 3 ? u16(entries, value) : type === 4 ? u32(entries, value) : 0;
    values.set(u16(entries, at), type === 16 && big ? u64(entries, value) : number);
  }
  return values;
}
