// Huge pictures in small files.
import { crc32, deflateSync } from "node:zlib";

/** A grey PNG of one bit a pixel, all black. */
export function blackPng(width: number, height: number): Buffer {
  const chunk = (type: string, content: Buffer): Buffer => {
    const bytes = Buffer.alloc(12 + content.length);
    bytes.writeUInt32BE(content.length);
    bytes.write(type, 4);
    content.copy(bytes, 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4);
    return bytes;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = deflateSync(Buffer.alloc((1 + Math.ceil(width / 8)) * height), { level: 1 });
  const start = Buffer.from("89504e470d0a1a0a", "hex");
  return Buffer.concat([start, chunk("IHDR", header), chunk("IDAT", rows), chunk("IEND", Buffer.alloc(0))]);
}
