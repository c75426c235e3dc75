// Kinds of image files: those that are decoded, and those that people have and that are not.
import { extname } from "node:path";
import type { ByteSource } from "./byte-source.js";

/** A kind of image that is decoded. */
export type ImageFormat = "JPEG" | "PNG" | "WebP" | "BMP" | "TIFF" | "GIF" | "AVIF";

/** File name extensions, in lower case with the dot, of images that are decoded. */
export const imageExtensions: ReadonlySet<string> = new Set(
  ".avif .bmp .dib .gif .jfif .jpe .jpeg .jpg .mpo .png .tif .tiff .webp".split(" "),
);

/** What messages call the formats of cameras. */
export const raw = "a camera's raw file";

/** Extensions of pictures that cannot be decoded, with what they are. Readers of folders count them by name. */
export const otherImageExtensions: ReadonlyMap<string, string> = new Map([
  ...[".heic", ".heif", ".hif"].map((extension) => [extension, "HEIC"] as const),
  ...[".jp2", ".j2k", ".jpf", ".jpx", ".j2c"].map((extension) => [extension, "JPEG 2000"] as const),
  ...".3fr .arw .cr2 .cr3 .dng .nef .nrw .orf .pef .raf .rw2 .srw".split(" ").map((name) => [name, raw] as const),
  [".jxl", "JPEG XL"],
  [".psd", "Photoshop"],
  [".svg", "SVG"],
  [".ico", "an icon"],
  [".tga", "Targa"],
  [".exr", "OpenEXR"],
  [".hdr", "Radiance HDR"],
  [".dcm", "DICOM"],
  [".pbm", "Netpbm"],
  [".pgm", "Netpbm"],
  [".ppm", "Netpbm"],
  [".pfm", "Netpbm"],
]);

/** What messages call films. */
export const video = "a video";

/** First bytes (latin1) of files that are no image that can be decoded. */
const otherBeginnings: readonly (readonly [start: string, kind: string])[] = [
  ["\0\0\0\x0cjP  ", "JPEG 2000"],
  ["\xff\x4f\xff\x51", "JPEG 2000"],
  ["\0\0\0\x0cJXL ", "JPEG XL"],
  ["\xff\x0a", "JPEG XL"],
  ["8BPS", "Photoshop"],
  ["IIRO", raw],
  ["IIRS", raw],
  ["IIU\0", raw],
  ["FUJIFILMCCD-RAW", raw],
  ["\0\0\x01\0", "an icon"],
  ["\x76\x2f\x31\x01", "OpenEXR"],
  ["#?RADIANCE", "Radiance HDR"],
  ["%PDF", "a PDF document"],
  ["PK\x03\x04", "a zip archive"],
  ["\x1f\x8b", "a gzip archive"],
  // Matroska and WebM, Flash, ASF, MPEG.
  ["\x1aE\xdf\xa3", video],
  ["FLV\x01", video],
  ["0&\xb2u", video],
  ["\0\0\x01\xb3", video],
  ["\0\0\x01\xba", video],
  ["version https://git-lfs", "a pointer of Git LFS (git lfs pull fetches the picture)"],
];

/** Brands (bytes 8 to 12 of a file of boxes) of pictures that are not AVIF. */
const otherBrands: Readonly<Record<string, string>> = {
  heic: "HEIC",
  heix: "HEIC",
  heim: "HEIC",
  heis: "HEIC",
  hevc: "HEIC",
  hevx: "HEIC",
  mif1: "HEIF",
  msf1: "HEIF",
  "crx ": raw,
};

const bmpHeaders: ReadonlySet<number> = new Set([12, 16, 40, 52, 56, 64, 108, 124]);

/** What a file is by its first bytes. `other` names what cannot be decoded; null where nothing is known. */
export function imageKind(source: ByteSource, name: string): { format: ImageFormat } | { other: string } | null {
  const head = source.beginning(512);
  const text = head.toString("latin1");
  if (text.startsWith("\xff\xd8")) return { format: "JPEG" };
  if (text.startsWith("\x89PNG")) return { format: "PNG" };
  if (text.startsWith("RIFF") && text.startsWith("WEBP", 8)) return { format: "WebP" };
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a")) return { format: "GIF" };
  if (text.startsWith("BM") && head.length >= 18 && bmpHeaders.has(head.readUInt32LE(14))) return { format: "BMP" };
  if (text.startsWith("ftyp", 4)) return boxFile(head);
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) {
    // The raw files of most cameras are TIFF files, with a thumbnail in front.
    const other = text.startsWith("CR", 8) ? raw : otherImageExtensions.get(extname(name).toLowerCase());
    return other === undefined ? { format: "TIFF" } : { other };
  }
  const other = otherBeginnings.find(([start]) => text.startsWith(start))?.[1] ?? markup(text);
  if (other !== undefined) return { other };
  // AVI, and packets of MPEG.
  if (text.startsWith("AVI ", 8) || (text[0] === "G" && text[188] === "G")) return { other: video };
  if (/^P[1-7fF]\s/.test(text)) return { other: "Netpbm" };
  return source.at(128, 4)?.toString("latin1") === "DICM" ? { other: "DICOM" } : null;
}

function boxFile(head: Buffer): { format: ImageFormat } | { other: string } {
  const size = Math.min(head.readUInt32BE(0), head.length);
  const brands = Array.from({ length: Math.max(0, (size - 8) >> 2) }, (_, i) =>
    head.toString("latin1", 8 + i * 4, 12 + i * 4),
  ).filter((_, i) => i !== 1);
  if (brands.includes("avif") || brands.includes("avis")) return { format: "AVIF" };
  return { other: brands.map((brand) => otherBrands[brand]).find((kind) => kind !== undefined) ?? video };
}

function markup(text: string): string | undefined {
  const start = text.replace(/^(\xef\xbb\xbf)?\s*/, "").toLowerCase();
  if (/^<(!doctype )?html/.test(start)) return "a web page (HTML)";
  return start.startsWith("<svg") || (/^<(\?xml|!--|!doctype svg)/.test(start) && start.includes("<svg"))
    ? "SVG"
    : undefined;
}
