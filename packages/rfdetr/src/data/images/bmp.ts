// BMP files (Windows bitmaps), which sharp does not read: 1, 4, 8, 16, 24 and 32 bits a pixel, without run lengths.
import { closeSync, openSync } from "node:fs";
import { DataError } from "../../support/errors.js";
import { ByteSource } from "./byte-source.js";
import type { Region } from "./region.js";
import type { RgbPixels } from "./rgb.js";

/** What the header says of the pixels. */
interface Layout {
  width: number;
  height: number;
  bits: number;
  /** Where the rows begin, and their length in bytes, without and with padding. */
  start: number;
  rowBytes: number;
  stride: number;
  /** The first row of the file is the top one. */
  topDown: boolean;
  /** RGB bytes of each colour number, for up to eight bits. */
  palette: Uint8Array;
  /** Bits of red, green and blue, for 16 and 32 bits. */
  masks: readonly [number, number, number];
}

/**
 * Decodes a part to RGB; alpha is dropped. Of parts that are too large, every `factor`-th row and column is read.
 * @param source path of a file, or its bytes; @param name what messages call it
 * @throws DataError
 */
export function decodeBmp(source: string | Uint8Array, part: Region, factor: number, name: string): RgbPixels {
  if (typeof source !== "string") return decodeRows(new ByteSource(source), part, factor, name);
  const file = openSync(source, "r");
  try {
    return decodeRows(new ByteSource(file), part, factor, name);
  } finally {
    closeSync(file);
  }
}

function decodeRows(source: ByteSource, part: Region, factor: number, name: string): RgbPixels {
  const layout = readLayout(source, name);
  const { start, stride, rowBytes, topDown } = layout;
  // Before memory is taken for a file that is only a header.
  if (source.at(start + stride * (layout.height - 1) + rowBytes - 1, 1) === null) throw cutOff(name);
  const [width, height] = [Math.ceil(part.width / factor), Math.ceil(part.height / factor)];
  const data = new Uint8Array(width * height * 3);
  const toRgb = rowReader(layout);
  for (let i = 0; i < height; i++) {
    // In the order of the file.
    const y = topDown ? i : height - 1 - i;
    const from = part.top + y * factor;
    const row = source.at(start + stride * (topDown ? from : layout.height - 1 - from), rowBytes);
    if (row === null) throw cutOff(name);
    for (let x = 0, to = y * width * 3; x < width; x++, to += 3) toRgb(row, part.left + x * factor, data, to);
  }
  return { data, width, height };
}

const cutOff = (name: string): DataError =>
  new DataError(`Expected a whole BMP but ${name} ends in the middle: replace or remove it`);

function readLayout(source: ByteSource, name: string): Layout {
  const head = source.beginning(66);
  if (head.length < 26) throw cutOff(name);
  const size = head.readUInt32LE(14);
  // The header of OS/2 has sizes of two bytes and colours of three.
  const old = size === 12;
  if (!old && head.length < 54) throw cutOff(name);
  const bits = head.readUInt16LE(old ? 24 : 28);
  const compression = size < 40 ? 0 : head.readUInt32LE(30);
  if (compression !== 0 && compression !== 3 && compression !== 6)
    throw new DataError(
      `Expected a BMP without compression but ${name} has compression ${compression}: convert it to PNG`,
    );
  if (![1, 4, 8, 16, 24, 32].includes(bits))
    throw new DataError(`Expected 1, 4, 8, 16, 24 or 32 bits a pixel in ${name} but received ${bits}`);
  const width = old ? head.readUInt16LE(18) : head.readInt32LE(18);
  const rows = old ? head.readUInt16LE(20) : head.readInt32LE(22);
  const masked = compression !== 0 && head.length >= 66;
  const mask = (at: number, otherwise: number): number => (masked ? head.readUInt32LE(at) : otherwise);
  const [r, g, b] = bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
  const masks = [mask(54, r), mask(58, g), mask(62, b)] as const;
  const colours = bits > 8 ? 0 : (size < 40 ? 0 : Math.min(head.readUInt32LE(46), 1 << bits)) || 1 << bits;
  return {
    width,
    height: Math.abs(rows),
    bits,
    start: head.readUInt32LE(10),
    rowBytes: Math.ceil((width * bits) / 8),
    stride: Math.ceil((width * bits) / 32) * 4,
    topDown: rows < 0,
    palette: readPalette(source, 14 + size, colours, old ? 3 : 4, name),
    masks,
  };
}

function readPalette(source: ByteSource, start: number, colours: number, entry: number, name: string): Uint8Array {
  const rgb = new Uint8Array(256 * 3);
  const stored = source.at(start, colours * entry);
  if (stored === null) throw cutOff(name);
  for (let i = 0; i < colours; i++) for (let c = 0; c < 3; c++) rgb[i * 3 + c] = stored[i * entry + 2 - c];
  return rgb;
}

/** Writes the pixel of column `x` of a row to `data[to]`, `[to + 1]` and `[to + 2]`. */
type RowReader = (row: Buffer, x: number, data: Uint8Array, to: number) => void;

function rowReader({ bits, palette, masks }: Layout): RowReader {
  if (bits === 24)
    return (row, x, data, to) => {
      data[to] = row[x * 3 + 2];
      data[to + 1] = row[x * 3 + 1];
      data[to + 2] = row[x * 3];
    };
  if (bits <= 8) {
    const perByte = 8 / bits;
    return (row, x, data, to) => {
      // The leftmost pixel has the highest bits.
      const shift = 8 - bits - (x % perByte) * bits;
      const colour = ((row[Math.floor(x / perByte)] >> shift) & ((1 << bits) - 1)) * 3;
      for (let c = 0; c < 3; c++) data[to + c] = palette[colour + c];
    };
  }
  const channels = masks.map((mask) => {
    const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
    return { mask, shift, most: Math.max(1, mask >>> shift) };
  });
  return (row, x, data, to) => {
    const pixel = bits === 16 ? row.readUInt16LE(x * 2) : row.readUInt32LE(x * 4);
    for (let c = 0; c < 3; c++) {
      const { mask, shift, most } = channels[c];
      data[to + c] = Math.floor((((pixel & mask) >>> shift) * 255) / most);
    }
  };
}
