// An image as a model sees it, whole or in tiles, and the way from what is found there back to the image.
import { setImmediate as turnOfEventLoop } from "node:timers/promises";
import type { Size } from "../data/images/image-header.js";
import { fullPixels } from "../data/images/limits.js";
import { resizeMask } from "../masks/segments.js";
import type { Candidate } from "../onnx/detections.js";
import { decode, type ImageSource, sizeOf } from "../pictures/picture.js";
import { lowestThreshold } from "../support/thresholds.js";
import { bestBelow, select } from "./selection.js";
import { cutTile, groupTiles, mergeTiles, type TileBox, type Tiling, tileBoxes } from "./tiles.js";
import type {
  DecodedImage,
  HostedModel,
  ImagePrediction,
  KnownDetectOptions,
  SquareImage,
  SquarePrediction,
} from "./types.js";

/** Images at the size of a model; asynchronous where they are decoded on the way. */
type Squares = AsyncIterable<SquareImage> | Iterable<SquareImage>;

/** An image that is ready for a model. @typeParam Result what a caller gets of it */
export interface PreparedImage<Result = ImagePrediction, S extends Squares = Squares> {
  /** What goes through the model: one, or one for each tile, made when it is asked for. Iterated once. */
  squares: S;
  /** The detections of the image that a caller wants, from those of its squares. @throws why one was not read */
  finish(found: readonly SquarePrediction[]): Result;
}

/** What brings images to the size of a model. */
type Resizing = Pick<HostedModel, "toSquare">;

/** What a caller gets of an image. @param below what the model saw and does not report at any threshold */
function reported(
  { width, height, detections: all }: ImagePrediction,
  below: readonly Candidate[],
  options: KnownDetectOptions,
): ImagePrediction {
  const detections = select(all, options);
  const best = detections.length > 0 ? undefined : bestBelow([...all, ...below], options);
  return { width, height, detections, ...(best !== undefined && { bestBelow: best }) };
}

/** Brings a decoded image to the size of a model. */
export function prepareImage(
  model: Resizing,
  image: DecodedImage,
  options: KnownDetectOptions,
): PreparedImage<ImagePrediction, Iterable<SquareImage>> {
  const tiling = tilingOf(options);
  if (tiling === undefined)
    return {
      squares: [model.toSquare(image, options)],
      finish: ([whole]) => reported(whole, whole.below, options),
    };
  const tiles = tileBoxes(image.width, image.height, tiling);
  return {
    squares: cutTiles(model, image, tiles, options),
    finish: (found) => joinTiles(found, tiles, tiling, image, image.original ?? image, options),
  };
}

/**
 * Decodes an image for a model. In tiles, one that is too large to be held whole is decoded part by part, each when
 * its turn comes, so that tiles have the pixels of the file at any size.
 * @param most pixels that are held at a time
 * @throws PictureError if the image cannot be decoded
 */
export async function prepareSource(
  model: Resizing,
  source: ImageSource,
  options: KnownDetectOptions,
  most = fullPixels,
): Promise<PreparedImage> {
  const tiling = tilingOf(options);
  const isFile = typeof source === "string" || source instanceof Uint8Array;
  const size = tiling === undefined || !isFile ? null : sizeOf(source, options.autoOrient);
  if (tiling === undefined || size === null || size.width * size.height <= most)
    return prepareImage(model, await decode(source, options.autoOrient), options);
  const tiles = tileBoxes(size.width, size.height, tiling);
  let fault: { reason: unknown } | undefined;
  async function* squares(): AsyncGenerator<SquareImage> {
    for (const group of groupTiles(tiles, most)) {
      const [left, top, right, bottom] = group.part;
      const region = { left, top, width: right - left, height: bottom - top };
      let part: DecodedImage;
      try {
        part = await decode(source, options.autoOrient, 0, region);
      } catch (reason) {
        // The other images of the batch go on.
        fault = { reason };
        return;
      }
      if (group.tiles.length === 1) yield model.toSquare(part, options);
      else {
        const inPart = group.tiles.map(
          (tile): TileBox => [tile[0] - left, tile[1] - top, tile[2] - left, tile[3] - top],
        );
        yield* cutTiles(model, part, inPart, options);
      }
    }
  }
  return {
    squares: squares(),
    finish(found) {
      if (fault !== undefined) throw fault.reason;
      return joinTiles(found, tiles, tiling, size, size, options);
    },
  };
}

function tilingOf({ tiles }: KnownDetectOptions): Tiling | undefined {
  return typeof tiles === "number" ? { size: tiles } : tiles;
}

function* cutTiles(
  model: Resizing,
  image: DecodedImage,
  tiles: readonly TileBox[],
  options: KnownDetectOptions,
): Generator<SquareImage> {
  for (const tile of tiles) yield model.toSquare(cutTile(image, tile), options);
}

/** What a caller gets of an image that was seen in tiles. @param cut the size that was cut @param size of its file */
function joinTiles(
  found: readonly SquarePrediction[],
  tiles: readonly TileBox[],
  tiling: Tiling,
  cut: Size,
  { width, height }: Size,
  options: KnownDetectOptions,
): ImagePrediction {
  const perTile = found.map(({ detections }) => detections);
  const merged = mergeTiles(perTile, tiles, tiling);
  const [x, y] = [width / cut.width, height / cut.height];
  for (const { box } of merged) box.splice(0, 4, box[0] * x, box[1] * y, box[2] * x, box[3] * y);
  const below = found.flatMap((tile) => tile.below);
  const prediction = reported({ width, height, detections: merged }, below, options);
  for (const each of prediction.detections)
    if (each.mask !== undefined) each.mask = resizeMask(each.mask, height, width);
  return prediction;
}

/**
 * Detects objects in prepared images.
 * @param together squares in a forward pass
 * @param signal ends it between two forward passes
 */
export async function detectPrepared<Result>(
  model: Pick<HostedModel, "detectSquares">,
  images: readonly PreparedImage<Result>[],
  options: KnownDetectOptions,
  together: number,
  signal?: AbortSignal,
): Promise<Result[]> {
  const found = images.map((): SquarePrediction[] => []);
  const waiting: { square: SquareImage; image: number }[] = [];
  let passes = 0;
  const forward = async (): Promise<void> => {
    // A forward pass keeps this thread: the message that ends the work can only arrive between two of them.
    if (signal !== undefined && passes++ > 0) await turnOfEventLoop();
    signal?.throwIfAborted();
    const batch = waiting.splice(0);
    const squares = batch.map(({ square }) => square);
    const predictions = await model.detectSquares(squares, lowestThreshold(options), options.shape);
    for (const [i, { image }] of batch.entries()) found[image].push(predictions[i]);
  };
  for (const [image, { squares }] of images.entries())
    for await (const square of squares) {
      waiting.push({ square, image });
      if (waiting.length >= together) await forward();
    }
  if (waiting.length > 0) await forward();
  return images.map((image, i) => image.finish(found[i]));
}
