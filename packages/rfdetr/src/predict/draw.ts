// Draws boxes with labels into pictures, and puts pictures side by side.
import { statSync } from "node:fs";
import { sharp } from "../data/images/sharp.js";
import { PictureError } from "../support/errors.js";
import { classColor, readableOn } from "./class-colors.js";
import { canBeDrawn } from "./machine-fonts.js";
import { decode, encode, type ImageSource, type OutputFlags, type RawImage } from "./picture.js";
import { capHeight, strokeText, textWidth } from "./stroke-font.js";

export type { ImageSource, RawImage } from "./picture.js";

/** A box with its class: a detection, or a ground truth, which has no score. */
export interface LabelledBox {
  /** x1, y1, x2, y2 in pixels of the image. */
  box: readonly number[];
  score?: number;
  classId: number;
  className?: string;
}

/** How detections are drawn. */
export interface DrawOptions extends OutputFlags {
  /** Write class and score at the boxes; default true. */
  labels?: boolean;
  /** Line width in pixels; default grows with the image. */
  lineWidth?: number;
  /** Font size in pixels; default grows with the image. */
  fontSize?: number;
  /** Whether boxes refer to the image turned upright by its EXIF tag; default true. False: to the pixels as stored. */
  autoOrient?: boolean;
}

/**
 * Draws boxes with class names and scores into an image. Better detections are drawn above worse ones, labels above
 * boxes. Labels stay inside the image, and do not overlap if there is room. Each class has a colour. Lines have a
 * dark edge and labels a filled background, so that both stand out on any picture. Latin letters need no fonts on the
 * machine; a name in letters that none of its fonts has is drawn as `class N`.
 *
 * @returns the encoded picture, which is also written to `out` if that is given
 * @throws PictureError if the image cannot be read, if the file cannot be written, or if it is the image itself
 * @example
 * import { drawDetections, RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano", { weights: "best.safetensors" });
 * await drawDetections("bird.jpg", await detector.predict("bird.jpg"), { out: "drawn.png" });
 */
export async function drawDetections(
  image: ImageSource,
  detections: readonly LabelledBox[],
  options: DrawOptions = {},
): Promise<Buffer> {
  if (typeof image === "string" && options.out !== undefined && sameFile(image, options.out))
    throw new PictureError(
      "ERR_PICTURE_OUTPUT",
      `Expected another file than the image for out but received ${options.out}, which would be lost`,
    );
  const drawn = await draw(image, detections, options);
  return encode(asSharp(drawn), options);
}

/** Whether two paths lead to one file, through links as well. */
function sameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** As {@link drawDetections}, but returns the decoded picture, for {@link mosaic}. @internal for tests */
export async function draw(
  image: ImageSource,
  detections: readonly LabelledBox[],
  options: DrawOptions = {},
): Promise<RawImage> {
  const { original, ...picture } = await decode(image, options.autoOrient);
  const factors = [picture.width / original.width, picture.height / original.height];
  const scaled = await Promise.all(
    detections.map(async ({ box, className, ...found }) => ({
      ...found,
      box: box.map((c, i) => c * factors[i % 2]),
      // A name in letters that no font has is told by the number of its class.
      ...(className === undefined || !(await canBeDrawn(className)) ? {} : { className }),
    })),
  );
  const overlay = boxOverlay(picture.width, picture.height, scaled, options);
  if (overlay === undefined) return picture;
  const data = await asSharp(picture)
    .composite([{ input: Buffer.from(overlay) }])
    .removeAlpha()
    .raw()
    .toBuffer();
  return { ...picture, data };
}

/**
 * The boxes and labels as an SVG document of the image's size; undefined if there is nothing to draw.
 * @internal for tests
 */
export function boxOverlay(
  width: number,
  height: number,
  detections: readonly LabelledBox[],
  { labels = true, lineWidth, fontSize }: Pick<DrawOptions, "labels" | "lineWidth" | "fontSize"> = {},
): string | undefined {
  const side = (width + height) / 2;
  const line = lineWidth ?? Math.max(1.5, side * 0.0042);
  const font = fontSize ?? Math.max(11, side * 0.026);
  const bestFirst = detections
    .filter(({ box }) => box.length === 4 && box.every(Number.isFinite))
    .sort((a, b) => (b.score ?? 1) - (a.score ?? 1));
  if (bestFirst.length === 0) return undefined;

  const edges: string[] = [];
  const tags: string[] = [];
  const placed: Rectangle[] = [];
  for (const detection of bestFirst) {
    const color = classColor(detection.classId);
    const [x1, y1, x2, y2] = detection.box;
    // At the border, the outer half of the line would be cut off.
    const left = clamp(x1, line / 2, width - line / 2);
    const top = clamp(y1, line / 2, height - line / 2);
    const right = Math.max(left, clamp(x2, line / 2, width - line / 2));
    const bottom = Math.max(top, clamp(y2, line / 2, height - line / 2));
    const rect = `<rect x="${f(left)}" y="${f(top)}" width="${f(right - left)}" height="${f(bottom - top)}" rx="${f(line)}" fill="none"`;
    edges.push(
      `${rect} stroke="#000" stroke-opacity="0.45" stroke-width="${f(line + Math.max(1, line * 0.5))}"/>${rect} stroke="${color}" stroke-width="${f(line)}"/>`,
    );
    if (labels)
      tags.push(tag(labelOf(detection), color, { left, top, right, bottom }, font, line, width, height, placed));
  }
  // SVG paints in order: worst boxes first, all labels after all boxes.
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${edges.reverse().join("")}${tags.reverse().join("")}</svg>`;
}

interface Rectangle {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

function labelOf({ className, classId, score }: LabelledBox): string {
  const name = className ?? `class ${classId}`;
  return score === undefined ? name : `${name} ${score.toFixed(2)}`;
}

function tag(
  label: string,
  color: string,
  box: Rectangle,
  font: number,
  line: number,
  width: number,
  height: number,
  placed: Rectangle[],
): string {
  const padding = font * 0.3;
  const fits = (width - 2 * padding) / Math.max(1, textWidth(label, font));
  const size = font * Math.min(1, Math.max(0.3, fits));
  const tagWidth = textWidth(label, size) + 2 * padding;
  const tagHeight = capHeight(size) + 2.2 * padding;
  const edge = line / 2;
  const places = [
    { x: box.left - edge, y: box.top - edge - tagHeight },
    { x: box.right + edge - tagWidth, y: box.top - edge - tagHeight },
    { x: box.left - edge, y: box.top - edge },
    { x: box.left - edge, y: box.bottom + edge },
    { x: box.left - edge, y: box.bottom + edge - tagHeight },
  ].map(({ x, y }) => {
    const left = clamp(x, 0, Math.max(0, width - tagWidth));
    return { left, top: y, right: left + tagWidth, bottom: y + tagHeight };
  });
  const inside = places.filter(({ top, bottom }) => top >= 0 && bottom <= height);
  const fallback = inside[0] ?? { left: places[0].left, top: 0, right: places[0].right, bottom: tagHeight };
  const place = inside.find((candidate) => !placed.some((other) => overlap(candidate, other))) ?? fallback;
  placed.push(place);
  const ground = `<rect x="${f(place.left)}" y="${f(place.top)}" width="${f(tagWidth)}" height="${f(tagHeight)}" rx="${f(line)}" fill="${color}"/>`;
  return ground + strokeText(place.left + padding, place.bottom - padding * 1.1, label, size, readableOn(color));
}

const overlap = (a: Rectangle, b: Rectangle) =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;

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

/**
 * Puts pictures side by side on a light background, each scaled to fit its tile.
 * @throws PictureError if an image cannot be read or the file cannot be written
 * @example
 * import { mosaic } from "rfdetr/predict";
 * await mosaic(["a.jpg", "b.jpg", "c.jpg"], { columns: 3, out: "all.png" });
 */
export async function mosaic(images: readonly (ImageSource | Tile)[], options: MosaicOptions = {}): Promise<Buffer> {
  const { columns = Math.max(1, Math.ceil(Math.sqrt(images.length))), tileSize = 480, gap = 6 } = options;
  const tiles = await Promise.all(
    images.map(async (entry) => scaled(isTile(entry) ? entry : { image: entry }, tileSize)),
  );
  const font = Math.max(12, tileSize * 0.035);
  const captionHeight = tiles.some(({ caption }) => caption !== undefined) ? Math.ceil(font * 1.5) : 0;
  const tileWidth = Math.max(1, ...tiles.map(({ picture }) => picture.width));
  const tileHeight = Math.max(1, ...tiles.map(({ picture }) => picture.height));
  const rows = Math.max(1, Math.ceil(tiles.length / columns));
  const across = Math.min(columns, Math.max(1, tiles.length));
  const width = across * (tileWidth + gap) + gap;
  const height = rows * (tileHeight + captionHeight + gap) + gap;

  const captions: string[] = [];
  const layers = tiles.map(({ picture, caption }, i) => {
    const left = gap + (i % columns) * (tileWidth + gap);
    const top = gap + Math.floor(i / columns) * (tileHeight + captionHeight + gap) + captionHeight;
    if (caption !== undefined)
      captions.push(
        strokeText(left + 2, top - captionHeight * 0.3, shorten(caption, font, tileWidth), font, "#1f2328"),
      );
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

function shorten(caption: string, font: number, width: number): string {
  if (textWidth(caption, font) <= width) return caption;
  let end = caption.length;
  while (end > 1 && textWidth(`${caption.slice(0, end)}...`, font) > width) end--;
  return `${caption.slice(0, end)}...`;
}

function isTile(entry: ImageSource | Tile): entry is Tile {
  return typeof entry === "object" && "image" in entry;
}

const asSharp = ({ data, width, height, channels }: RawImage) => sharp(data, { raw: { width, height, channels } });
const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), Math.max(low, high));
const f = (value: number) => String(Math.round(value * 100) / 100);
