// Sheets of pictures with boxes: each picture is brought to the size of its tile before boxes are drawn, so that lines
// and letters look the same on pictures of 64 and of 8000 pixels.
import { type BoxOptions, boxOverlay, type LabelledBox } from "./drawing/box-overlay.js";
import { paintMasks } from "./drawing/mask-layer.js";
import { mosaic } from "./drawing/mosaic.js";
import { asSharp, decode, type ImageSource, type RawImage } from "./picture.js";

/** A picture of a sheet, with what is drawn on it. */
export interface SheetTile {
  image: ImageSource;
  /** Boxes in pixels of the image, masks at its size. */
  boxes: readonly LabelledBox[];
  caption: string;
}

/** How a sheet is made. */
export interface SheetOptions extends Pick<BoxOptions, "classNames"> {
  /** Longest side of a picture on the sheet, in pixels. */
  side: number;
  columns: number;
  /** Whether pictures are turned upright by their EXIF tag, as boxes expect; default true. */
  autoOrient?: boolean;
}

/** A sheet as JPEG. @throws PictureError if an image cannot be read */
export async function sheet(tiles: readonly SheetTile[], options: SheetOptions): Promise<Buffer> {
  const scaled = new Map<ImageSource, Promise<Scaled>>();
  for (const { image } of tiles)
    if (!scaled.has(image))
      scaled.set(
        image,
        inTurn(() => scale(image, options)),
      );
  const drawn = await Promise.all(
    tiles.map(async ({ image, boxes, caption }) => {
      const picture = await (scaled.get(image) as Promise<Scaled>);
      return { image: await drawnTile(picture, boxes, options), caption };
    }),
  );
  return mosaic(drawn, { columns: options.columns, tileSize: options.side, format: "jpeg", quality: 88 });
}

/** Ends when the last picture is scaled. One is decoded at a time, so that large ones do not fill the memory. */
let last: Promise<unknown> = Promise.resolve();

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}

/** A picture at the size of its tile, and the size that boxes refer to. */
interface Scaled {
  picture: RawImage;
  original: { width: number; height: number };
}

async function scale(image: ImageSource, { side, autoOrient }: SheetOptions): Promise<Scaled> {
  const { original, ...picture } = await decode(image, autoOrient, side);
  const factor = side / Math.max(original.width, original.height);
  const [width, height] = [original.width, original.height].map((length) => Math.max(1, Math.round(length * factor)));
  // Enlarged pixels keep their edges a little: one sees how few there are.
  const kernel = factor > 2 ? "mitchell" : "lanczos3";
  const data = await asSharp(picture).resize(width, height, { fit: "fill", kernel }).raw().toBuffer();
  return { picture: { data, width, height, channels: 3 }, original };
}

async function drawnTile(
  { picture, original }: Scaled,
  boxes: readonly LabelledBox[],
  { classNames = [] }: SheetOptions,
): Promise<RawImage> {
  const { width, height } = picture;
  const factors = [width / original.width, height / original.height];
  const scaled = boxes.map((each) => ({ ...each, box: each.box.map((value, i) => value * factors[i % 2]) }));
  const overlay = await boxOverlay(width, height, scaled, { classNames });
  if (overlay === undefined) return picture;
  const drawn = asSharp(paintMasks(picture, scaled, { classNames })).composite([{ input: Buffer.from(overlay) }]);
  return { ...picture, data: await drawn.removeAlpha().raw().toBuffer() };
}
