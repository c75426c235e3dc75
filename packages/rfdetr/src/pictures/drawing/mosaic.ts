// Puts pictures side by side.
import { sharp } from "../../data/images/sharp.js";
import { largestOf } from "../../support/lists.js";
import { anyList, checkArgument, checkOptions, count, countOrZero, type OptionKinds } from "../../support/options.js";
import {
  asSharp,
  decode,
  encode,
  type ImageSource,
  type OutputFlags,
  outputOptions,
  type RawImage,
} from "../picture.js";
import { fittingLetters, type Lettering, strokes } from "./lettering.js";

/** A picture in a mosaic, with a line of text above it. */
export interface Tile {
  image: ImageSource;
  caption?: string;
}

/** How images are put together. */
export interface MosaicOptions extends OutputFlags {
  /** Pictures in a row; default the square root of their number, rounded up. */
  columns?: number;
  /** Longest side of a tile in pixels; default 480. */
  tileSize?: number;
  /** Space between tiles in pixels; default 6. */
  gap?: number;
}

const mosaicOptions: OptionKinds<MosaicOptions> = {
  columns: count,
  tileSize: count,
  gap: countOrZero,
  ...outputOptions,
};

/**
 * Puts pictures side by side on a light background, each scaled to fit its tile.
 * @throws PictureError if an image cannot be read or the file cannot be written
 * @throws UsageError for a wrong option
 * @example
 * import { mosaic } from "rfdetr/predict";
 * await mosaic(["a.jpg", "b.jpg", "c.jpg"], { columns: 3, out: "all.png" });
 */
export async function mosaic(images: readonly (ImageSource | Tile)[], options: MosaicOptions = {}): Promise<Buffer> {
  checkOptions("mosaic", options, mosaicOptions);
  checkArgument("images", images, anyList);
  const { columns = Math.max(1, Math.ceil(Math.sqrt(images.length))), tileSize = 480, gap = 6 } = options;
  const tiles = await Promise.all(
    images.map(async (entry) => scaled(isTile(entry) ? entry : { image: entry }, tileSize)),
  );
  const font = Math.max(12, tileSize * 0.035);
  const captionHeight = tiles.some(({ caption }) => caption !== undefined) ? Math.ceil(font * 1.5) : 0;
  const tileWidth = largestOf(
    tiles.map(({ picture }) => picture.width),
    1,
  );
  const tileHeight = largestOf(
    tiles.map(({ picture }) => picture.height),
    1,
  );
  const rows = Math.max(1, Math.ceil(tiles.length / columns));
  const across = Math.min(columns, Math.max(1, tiles.length));
  const width = across * (tileWidth + gap) + gap;
  const height = rows * (tileHeight + captionHeight + gap) + gap;

  const texts = await Promise.all(
    tiles.map(({ caption }) => (caption === undefined ? null : captionText(caption, tileWidth / font))),
  );
  const captions: string[] = [];
  const layers = tiles.map(({ picture }, i) => {
    const left = gap + (i % columns) * (tileWidth + gap);
    const top = gap + Math.floor(i / columns) * (tileHeight + captionHeight + gap) + captionHeight;
    const text = texts[i];
    if (text !== null) captions.push(text.svg(left + 2, top - captionHeight * 0.3, font, "#1f2328"));
    const { width: w, height: h } = picture;
    return {
      input: Buffer.from(picture.data.buffer, picture.data.byteOffset, picture.data.byteLength),
      raw: { width: w, height: h, channels: 3 as const },
      left: left + ((tileWidth - w) >> 1),
      top,
    };
  });
  const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${captions.join("")}</svg>`;
  const ground = sharp({ create: { width, height, channels: 3, background: "#eef0f2" } });
  return encode(ground.composite(captions.length > 0 ? [...layers, { input: Buffer.from(text) }] : layers), options);
}

async function scaled({ image, caption }: Tile, size: number): Promise<{ picture: RawImage; caption?: string }> {
  const picture = await decode(image);
  const factor = size / Math.max(picture.width, picture.height);
  if (factor >= 1) return { picture, caption };
  const { data, info } = await asSharp(picture)
    .resize(Math.max(1, Math.round(picture.width * factor)), Math.max(1, Math.round(picture.height * factor)), {
      fit: "fill",
    })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { picture: { data, width: info.width, height: info.height, channels: 3 }, caption };
}

/** A caption of at most so many ems. Where the machine has no font for its letters they are question marks. */
const captionText = async (caption: string, most: number): Promise<Lettering> =>
  (await fittingLetters(caption, most)) ??
  (await fittingLetters(caption.replace(/[^ -~]/gu, "?"), most)) ??
  strokes("");

function isTile(entry: ImageSource | Tile): entry is Tile {
  return typeof entry === "object" && "image" in entry;
}
