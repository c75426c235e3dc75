// Raw pictures with their times, in the smallest Matroska stream (RFC 9559) that ffmpeg reads: it has no other form for
// raw pictures whose times do not lie evenly.

/** An element: its id, the size of its content in a form of eight bytes, and the content. */
function element(id: number, ...content: (number | string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(content.map((part) => (Buffer.isBuffer(part) ? part : bytesOf(part))));
  return Buffer.concat([idOf(id), sizeOf(bytes.length), bytes]);
}

const idOf = (id: number): Buffer => Buffer.from(id.toString(16), "hex");

function sizeOf(bytes: number): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(bytes) | (1n << 56n));
  return size;
}

function bytesOf(value: number | string): Buffer {
  if (typeof value === "string") return Buffer.from(value, "latin1");
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

const unknownSize = Buffer.from("01ffffffffffffff", "hex");

/** The beginning of a stream of RGB pictures of one size. Times are in milliseconds. */
export function matroskaHeader(width: number, height: number): Buffer {
  const video = element(0xe0, element(0xb0, width), element(0xba, height), element(0x2eb524, "RGB\x18"));
  const track = [element(0xd7, 1), element(0x73c5, 1), element(0x83, 1), element(0x9c, 0)];
  return Buffer.concat([
    element(0x1a45dfa3, element(0x4282, "matroska"), element(0x4287, 4), element(0x4285, 2)),
    idOf(0x18538067),
    unknownSize,
    element(0x1549a966, element(0x2ad7b1, 1_000_000), element(0x4d80, "rfdetr"), element(0x5741, "rfdetr")),
    element(0x1654ae6b, element(0xae, ...track, element(0x86, "V_UNCOMPRESSED"), video)),
  ]);
}

/** What comes before the bytes of a picture. */
export function pictureHeader(milliseconds: number, bytes: number): Buffer {
  const time = element(0xe7, milliseconds);
  const block = Buffer.from([0x81, 0, 0, 0x80]);
  const blockHead = Buffer.concat([idOf(0xa3), sizeOf(block.length + bytes), block]);
  const size = time.length + blockHead.length + bytes;
  return Buffer.concat([idOf(0x1f43b675), sizeOf(size), time, blockHead]);
}
