// Size and orientation of an AVIF picture (ISO/IEC 23008-12, image file format), which is a tree of boxes.
import type { ByteSource } from "./byte-source.js";

interface Box {
  type: string;
  /** Offsets of the content. */
  start: number;
  end: number;
}

/** At most so many boxes of a level are looked at; files have about ten. */
const mostBoxes = 4096;

function boxes(source: ByteSource, start: number, end: number): Box[] {
  const found: Box[] = [];
  for (let at = start; at + 8 <= end && found.length < mostBoxes; ) {
    const head = source.at(at, 8);
    if (head === null) break;
    let size = head.readUInt32BE(0);
    const type = head.toString("latin1", 4, 8);
    let headSize = 8;
    if (size === 1) {
      const long = source.at(at + 8, 8);
      if (long === null) break;
      size = Number(long.readBigUInt64BE(0));
      headSize = 16;
    } else if (size === 0) size = end - at;
    if (size < headSize) break;
    found.push({ type, start: at + headSize, end: at + size });
    at += size;
  }
  return found;
}

/** Numbers (from 1) of the properties of the picture that is shown, from the boxes `pitm` and `ipma`. */
function propertiesOfPrimary(source: ByteSource, primary: Box | undefined, map: Box | undefined): number[] {
  const item = primary === undefined ? null : source.at(primary.start, 6);
  const content = map === undefined ? null : source.at(map.start, Math.min(map.end - map.start, 1 << 16));
  if (item === null || content === null) return [];
  const id = item[0] === 0 ? item.readUInt16BE(4) : (source.at(primary?.start ?? 0, 8)?.readUInt32BE(4) ?? 0);
  const wideId = content[0] > 0;
  const wideIndex = (content[3] & 1) === 1;
  let at = 8;
  for (let entry = 0; entry < content.readUInt32BE(4) && at + 5 <= content.length; entry++) {
    const entryId = wideId ? content.readUInt32BE(at) : content.readUInt16BE(at);
    at += wideId ? 4 : 2;
    const size = wideIndex ? 2 : 1;
    const count = content[at++];
    if (at + count * size > content.length) break;
    if (entryId === id)
      return Array.from({ length: count }, (_, i) =>
        wideIndex ? content.readUInt16BE(at + i * 2) & 0x7fff : content[at + i] & 0x7f,
      );
    at += count * size;
  }
  return [];
}

/** The EXIF orientations of quarter turns anti-clockwise (0 to 3), without and with a mirror, by its axis. */
const orientations = [
  { none: 1, 0: 4, 1: 2 },
  { none: 8, 0: 5, 1: 7 },
  { none: 3, 0: 2, 1: 4 },
  { none: 6, 0: 7, 1: 5 },
] as const;

/**
 * Width and height as stored, and the orientation that the turn and the mirror of the file make, as the Python
 * package's reader gives it (`PIL.AvifImagePlugin`). EXIF does not count in this format.
 */
export function avifSize(source: ByteSource): { width: number; height: number; orientation: number } | null {
  const meta = boxes(source, 0, Number.MAX_SAFE_INTEGER).find(({ type }) => type === "meta");
  if (meta === undefined) return null;
  const inMeta = boxes(source, meta.start + 4, meta.end);
  const properties = inMeta.find(({ type }) => type === "iprp");
  if (properties === undefined) return null;
  const inProperties = boxes(source, properties.start, properties.end);
  const container = inProperties.find(({ type }) => type === "ipco");
  if (container === undefined) return null;
  const all = boxes(source, container.start, container.end);
  const primary = inMeta.find(({ type }) => type === "pitm");
  const map = inProperties.find(({ type }) => type === "ipma");
  const own = propertiesOfPrimary(source, primary, map).flatMap((i) => all[i - 1] ?? []);
  const extent = own.find(({ type }) => type === "ispe");
  const size = extent === undefined ? null : source.at(extent.start + 4, 8);
  if (size === null) return null;
  const [width, height] = [size.readUInt32BE(0), size.readUInt32BE(4)];
  const byteOf = (name: string): number | undefined => {
    const found = own.find(({ type }) => type === name);
    return found && source.at(found.start, 1)?.[0];
  };
  const axis = byteOf("imir");
  const turn = orientations[(byteOf("irot") ?? 0) & 3];
  return { width, height, orientation: turn[axis === undefined ? "none" : (axis & 1) === 0 ? 0 : 1] };
}
