// What is kept of a picture to find it again: a digest of its file, a small grey picture, and bits that tell whether
// neighbouring parts of it get lighter (the difference hash of Krawetz, "Kind of Like That", 2013, with a dead zone).
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { decodeFile } from "../images/decode.js";
import { readImageHeader } from "../images/image-header.js";
import { sharp } from "../images/sharp.js";

/** Side of the small picture. */
const side = 32;
/** Groups of bits, and bits in each. */
export const bands = 8;
const bandBits = 14;
const cells = 8;

/** A picture in short. */
export interface Fingerprint {
  /** `[side, side]` grey levels. */
  small: Uint8Array;
  /** `[8, 8, 2]` red and blue less green, in steps of two levels. */
  tint: Int8Array;
  /** `[bands]` of 14 bits. */
  bits: Uint16Array;
}

/** SHA-256 of a file's bytes; null if it cannot be read or is no regular file. */
export async function digestOf(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null);
  if (stats === null || !stats.isFile()) return null;
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("base64");
}

/**
 * Makes the fingerprint of an image file, turned upright.
 * @throws DataError if it does not decode
 */
export async function fingerprint(file: string): Promise<Fingerprint> {
  const { orientation } = readImageHeader(file);
  const { data, width, height } = await decodeFile(file, { orientation, atLeast: 4 * side });
  const rgb = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(side, side, { fit: "fill" })
    .raw()
    .toBuffer();
  const small = Uint8Array.from({ length: side ** 2 }, (_, i) =>
    Math.round(0.299 * rgb[i * 3] + 0.587 * rgb[i * 3 + 1] + 0.114 * rgb[i * 3 + 2]),
  );
  return { small, tint: tintOf(rgb), bits: bitsOf(small) };
}

/** The part of the picture that a pixel of the small picture is in. */
function cellOf(pixel: number): number {
  const width = side / cells;
  return Math.floor(Math.floor(pixel / side) / width) * cells + Math.floor((pixel % side) / width);
}

function tintOf(rgb: Uint8Array): Int8Array {
  const sums = new Float64Array(cells * cells * 2);
  for (let i = 0; i < side ** 2; i++) {
    sums[cellOf(i) * 2] += rgb[i * 3] - rgb[i * 3 + 1];
    sums[cellOf(i) * 2 + 1] += rgb[i * 3 + 2] - rgb[i * 3 + 1];
  }
  return Int8Array.from(sums, (sum) => Math.round(sum / (side / cells) ** 2 / 2));
}

/** A bit for each pair of neighbours among 8 × 8 parts: 56 pairs side by side and 56 one below the other. */
function bitsOf(small: Uint8Array): Uint16Array {
  const means = new Float64Array(cells * cells);
  for (const [i, level] of small.entries()) means[cellOf(i)] += level / (side / cells) ** 2;
  const mean = means.reduce((a, b) => a + b, 0) / means.length;
  const deviation = Math.sqrt(means.reduce((sum, x) => sum + (x - mean) ** 2, 0) / means.length);
  // Differences of even parts are noise of the encoder; relative to the contrast, so that brightness does not matter.
  const least = 0.1 * deviation + 0.5;
  const bits = new Uint16Array(bands);
  let n = 0;
  const add = (from: number, to: number): void => {
    if (means[to] - means[from] > least) bits[Math.floor(n / bandBits)] |= 1 << (n % bandBits);
    n++;
  };
  for (let a = 0; a < cells; a++)
    for (let b = 0; b + 1 < cells; b++) {
      add(a * cells + b, a * cells + b + 1);
      add(b * cells + a, (b + 1) * cells + a);
    }
  return bits;
}

/** Levels by which two small pictures may differ: on average, and anywhere. A new encoding differs by 1 and 6. */
const tolerance = { mean: 2.5, most: 16 };

/** Whether two pictures are the same up to encoding, size, brightness and contrast. */
export function samePicture(one: Fingerprint, other: Fingerprint): boolean {
  const gain = gainOf(one.small, other.small);
  if (gain === null) return false;
  // In levels of the picture with more contrast, so that both orders give the same answer.
  const scale = Math.max(1, 1 / gain);
  return one.tint.every((a, i) => Math.abs(gain * a - other.tint[i]) * scale * 2 <= tolerance.most);
}

/** The contrast of `b` over that of `a` if they are the same grey picture, else null. */
function gainOf(a: Uint8Array, b: Uint8Array): number | null {
  const n = a.length;
  let sumA = 0;
  let sumB = 0;
  let aa = 0;
  let ab = 0;
  let bb = 0;
  for (let i = 0; i < n; i++) {
    sumA += a[i];
    sumB += b[i];
    aa += a[i] * a[i];
    ab += a[i] * b[i];
    bb += b[i] * b[i];
  }
  const varianceA = aa / n - (sumA / n) ** 2;
  const varianceB = bb / n - (sumB / n) ** 2;
  // Even pictures have no contrast to compare: they must be equal in brightness too.
  const even = varianceA < 4 || varianceB < 4;
  const gain = even ? 1 : Math.sqrt(varianceB / varianceA);
  if (gain < 0.5 || gain > 2 || (!even && (ab / n - (sumA * sumB) / n ** 2) / Math.sqrt(varianceA * varianceB) < 0.9))
    return null;
  const offset = even ? 0 : sumB / n - (gain * sumA) / n;
  const scale = Math.max(1, 1 / gain);
  let total = 0;
  for (let i = 0; i < n; i++) {
    const difference = Math.abs(gain * a[i] + offset - b[i]) * scale;
    if (difference > tolerance.most) return null;
    total += difference;
  }
  return total / n <= tolerance.mean ? gain : null;
}
