// Which TIFF files are decoded, and a file's picture without its other entries.
import { DataError } from "../../support/errors.js";
import { ByteSource } from "./byte-source.js";
import { readTiffDirectory, type TiffDirectory, tiffTags } from "./tiff-directory.js";

/** Compressions that are decoded (TIFF 6.0, sections 3 to 11 and 22; the registry of tag 259). */
const decoded: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 7, 8, 32766, 32771, 32773, 32809, 32946, 50001]);

/** What messages call compressions that are not. */
const otherCompressions: Readonly<Record<number, string>> = {
  6: "JPEG as TIFF 6.0 had it first",
  9: "JBIG",
  10: "JBIG",
  22610: "JPEG XR",
  33003: "JPEG 2000",
  33005: "JPEG 2000",
  34661: "JBIG",
  34676: "SGI LogLuv",
  34677: "SGI LogLuv",
  34712: "JPEG 2000",
  34887: "LERC",
  34892: "lossy JPEG of DNG",
  34925: "LZMA",
  34926: "Zstandard",
  34933: "PNG",
  34934: "JPEG XR",
  50000: "Zstandard",
  50002: "JPEG XL",
  52546: "JPEG XL",
};

/** What messages call the values of tag 262. */
const colourNames: Readonly<Record<number, string>> = {
  0: "grey",
  1: "grey",
  2: "RGB",
  3: "palette",
  4: "transparency mask",
  5: "CMYK",
  6: "YCbCr",
  8: "CIE L*a*b*",
  9: "ICC L*a*b*",
  10: "ITU L*a*b*",
  32803: "colour filter array",
  32844: "LogL",
  32845: "LogLuv",
  34892: "linear raw",
};

const formatNames: Readonly<Record<number, string>> = { 1: "unsigned", 2: "signed", 3: "floating-point", 4: "untyped" };

/**
 * Checks that a picture is of a kind that is decoded to the pixels that Pillow gives. The decoder gives a black
 * picture, or wrong colours, for some that are not.
 * @throws DataError naming the file
 */
export function checkTiff(directory: TiffDirectory, name: string): void {
  const { entries, first, all } = directory;
  const compression = first(tiffTags.compression) ?? 1;
  if (!decoded.has(compression))
    throw new DataError(
      `Expected a TIFF file with a compression that is decoded but ${name} is compressed with ` +
        `${otherCompressions[compression] ?? `compression ${compression}`}: save it with LZW compression, or as PNG`,
    );
  const colours = first(tiffTags.colours) ?? 0;
  const samples = first(tiffTags.samples) ?? 1;
  const bits = [...new Set(entries.has(tiffTags.bits) ? all(tiffTags.bits) : [1])];
  if (bits.length === 0)
    throw new DataError(
      `Expected a whole image but ${name} begins as TIFF and its header does not say how many bits a sample has: ` +
        `replace or remove it`,
    );
  const format = first(tiffTags.sampleFormat) ?? 1;
  if (colours === 6 && compression !== 7)
    throw new DataError(
      `Expected a TIFF file of grey, RGB, palette or CMYK colours but ${name} has YCbCr colours without JPEG ` +
        `compression: save it as RGB, or as PNG`,
    );
  if (bits.length === 1 && isDecoded(colours, samples, bits[0], format)) return;
  const named = colourNames[colours] ?? `colours of kind ${colours}`;
  throw new DataError(
    `Expected a TIFF file with samples that are decoded, such as 8-bit RGB, but ${name} has ${samples} ` +
      `${formatNames[format] ?? "unknown"} ${samples === 1 ? "sample" : "samples"} of ${bits.join(", ")} bits a pixel ` +
      `(${named}): save it as 8-bit RGB`,
  );
}

/** Whether Pillow reads such samples, and the decoder gives the same pixels. */
function isDecoded(colours: number, samples: number, bits: number, format: number): boolean {
  const integer = format === 1 || format === 4;
  switch (colours) {
    case 0:
      return samples <= 2 && integer && [1, 2, 4, 8, 16].includes(bits);
    case 1:
      if (samples === 1 && (format === 2 || format === 3)) return bits === 32;
      return samples <= 2 && integer && [1, 2, 4, 8, 16, 32].includes(bits);
    case 2:
      return samples >= 3 && integer && (bits === 8 || bits === 16);
    case 3:
      return samples <= 2 && integer && [1, 2, 4, 8].includes(bits);
    case 5:
      return samples >= 4 && integer && (bits === 8 || bits === 16);
    case 6:
      return samples === 3 && integer && bits === 8;
    default:
      return false;
  }
}

/** Tags that say how the pixels are stored. */
const pixelTags: ReadonlySet<number> = new Set([
  256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347, 530,
  532,
]);

/**
 * The file with a directory of only the entries that say how its first picture is stored. The decoder cannot tell a
 * harmless fault of another entry from damaged pixels.
 * @returns null if the directory cannot be read
 */
export function pictureOnly(file: Uint8Array): { bytes: Buffer; tags: ReadonlySet<number> } | null {
  const directory = readTiffDirectory(new ByteSource(file), 0);
  if (directory === null) return null;
  const { little, big, entries } = directory;
  const kept = [...entries].filter(([tag]) => pixelTags.has(tag)).sort(([a], [b]) => a - b);
  const number = (value: number, bytes: 2 | 4 | 8): Buffer => {
    const at = Buffer.alloc(bytes);
    if (bytes === 8) little ? at.writeBigUInt64LE(BigInt(value)) : at.writeBigUInt64BE(BigInt(value));
    else little ? at.writeUIntLE(value, 0, bytes) : at.writeUIntBE(value, 0, bytes);
    return at;
  };
  const end = file.length + (file.length & 1);
  if (!big && end > 0xffffffff) return null;
  const bytes = Buffer.concat([
    file,
    Buffer.alloc(end - file.length),
    number(kept.length, big ? 8 : 2),
    ...kept.map(([, entry]) => entry),
    number(0, big ? 8 : 4),
  ]);
  number(end, big ? 8 : 4).copy(bytes, big ? 8 : 4);
  return { bytes, tags: new Set(kept.map(([tag]) => tag)) };
}

/** Whether a file is a TIFF and ends before the end of its first picture, or of what says how it is stored. */
export function endsInside(file: Uint8Array): boolean {
  const directory = readTiffDirectory(new ByteSource(file), 0);
  if (directory === null) return false;
  const { all, endOf } = directory;
  const { stripOffsets, stripBytes, tileOffsets, tileBytes } = tiffTags;
  const pieces = [
    [stripOffsets, stripBytes],
    [tileOffsets, tileBytes],
  ].flatMap(([offsets, counts]) => {
    const bytes = all(counts);
    return all(offsets)?.map((offset, i) => offset + (bytes?.[i] ?? 0)) ?? [];
  });
  return [...pieces, ...[...pixelTags].map(endOf)].some((end) => end > file.length);
}
