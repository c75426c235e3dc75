// Sheets of pictures with boxes: each picture is brought to the size of its tile before boxes are drawn, so that lines
// and letters look the same on pictures of 64 and of 8000 pixels.
import { type BoxOptions, boxOverlay, type LabelledBox } from "../box-overlay.js";
import { mosaic } from "../mosaic.js";
import { asSharp, decode, type ImageSource, type RawImage } from "../picture.js";

/** A picture of a sheet, with what is drawn on it. */
export interface SheetTile {
  image: ImageSource;
  /** Boxes in pixels of the image. */
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
  const drawn = await Promise.all(
    tiles.map(async ({ image, boxes, caption }) => ({ image: await drawnTile(image, boxes, options), caption })),
  );
  return mosaic(drawn, { columns: options.columns, tileSize: options.side, format: "jpeg", quality: 88 });
}

async function drawnTile(
  image: ImageSource,
  boxes: readonly LabelledBox[],
  { side, classNames = [], autoOrient }: SheetOptions,
): Promise<RawImage> {
  const picture = await decode(image, autoOrient);
  const { width, height } = picture.original;
  const factor = side / Math.max(width, height);
  const [w, h] = [width, height].map((length) => Math.max(1, Math.round(length * factor)));
  const at = boxes.map((each) => ({
    ...each,
    box: each.box.map((value, i) => (value * (i % 2 ? h : w)) / (i % 2 ? height : width)),
  }));
  const overlay = await boxOverlay(w, h, at, { classNames });
  // Enlarged pixels keep their edges a little: one sees how few there are.
  const kernel = factor > 2 ? "mitchell" : "lanczos3";
  const scaled = asSharp(picture).resize(w, h, { fit: "fill", kernel });
  const composed = overlay === undefined ? scaled : scaled.composite([{ input: Buffer.from(overlay) }]).removeAlpha();
  return { data: await composed.raw().toBuffer(), width: w, height: h, channels: 3 };
}
