// An image as a model sees it, whole or in tiles, and the way from what is found there back to the image.
import { setImmediate as turnOfEventLoop } from "node:timers/promises";
import { resizeMask } from "../masks/segments.js";
import type { Candidate } from "../onnx/detections.js";
import { lowestThreshold } from "../support/thresholds.js";
import { bestBelow, select } from "./selection.js";
import { cutTile, mergeTiles, tileBoxes } from "./tiles.js";
import type {
  DecodedImage,
  DetectOptions,
  HostedModel,
  ImagePrediction,
  SquareImage,
  SquarePrediction,
} from "./types.js";

/** An image that is ready for a model. */
export interface PreparedImage {
  /** What goes through the model: one, or one for each tile. */
  squares: SquareImage[];
  /** The detections of the image that a caller wants, from those of its squares. */
  finish(found: readonly SquarePrediction[]): ImagePrediction;
}

/** What a caller gets of an image. @param below what the model saw and does not report at any threshold */
function reported(
  { width, height, detections: all }: ImagePrediction,
  below: readonly Candidate[],
  options: DetectOptions,
): ImagePrediction {
  const detections = select(all, options);
  const best = detections.length > 0 ? undefined : bestBelow([...all, ...below], options);
  return { width, height, detections, ...(best !== undefined && { bestBelow: best }) };
}

/** Brings a decoded image to the size of a model. */
export function prepareImage(
  model: Pick<HostedModel, "toSquare">,
  image: DecodedImage,
  options: DetectOptions,
): PreparedImage {
  const { tiles: tiling } = options;
  if (tiling === undefined)
    return {
      squares: [model.toSquare(image, options)],
      finish: ([whole]) => reported(whole, whole.below, options),
    };
  const settings = typeof tiling === "number" ? { size: tiling } : tiling;
  const tiles = tileBoxes(image.width, image.height, settings);
  const { width, height } = image.original ?? image;
  return {
    squares: tiles.map((tile) => model.toSquare(cutTile(image, tile), options)),
    finish(found) {
      const perTile = found.map(({ detections }) => detections);
      const merged = mergeTiles(perTile, tiles, settings);
      const [x, y] = [width / image.width, height / image.height];
      for (const { box } of merged) box.splice(0, 4, box[0] * x, box[1] * y, box[2] * x, box[3] * y);
      const below = found.flatMap((tile) => tile.below);
      const prediction = reported({ width, height, detections: merged }, below, options);
      for (const each of prediction.detections)
        if (each.mask !== undefined) each.mask = resizeMask(each.mask, height, width);
      return prediction;
    },
  };
}

/**
 * Detects objects in prepared images.
 * @param together squares in a forward pass
 * @param signal ends it between two forward passes
 */
export async function detectPrepared(
  model: Pick<HostedModel, "detectSquares">,
  images: readonly PreparedImage[],
  options: DetectOptions,
  together: number,
  signal?: AbortSignal,
): Promise<ImagePrediction[]> {
  const squares = images.flatMap((image) => image.squares);
  const found: SquarePrediction[] = [];
  for (let at = 0; at < squares.length; at += together) {
    // A forward pass keeps this thread: the message that ends the work can only arrive between two of them.
    if (signal !== undefined && at > 0) await turnOfEventLoop();
    signal?.throwIfAborted();
    found.push(
      ...(await model.detectSquares(squares.slice(at, at + together), lowestThreshold(options), options.shape)),
    );
  }
  return images.map((image) => image.finish(found.splice(0, image.squares.length)));
}
