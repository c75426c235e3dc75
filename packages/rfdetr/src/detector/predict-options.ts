// What the options of predict accept.
import { areAsked, askedTake } from "../support/asked-thresholds.js";
import {
  abortSignal,
  callback,
  count,
  countOrZero,
  flag,
  type OptionKind,
  share,
  sides,
  texts,
} from "../support/options.js";
import { isPlain } from "../support/plain.js";
import { largestSide, type Shape, sidesOf } from "../support/shape.js";

/** What says how images are resized. */
export const resizeOptions = { antialias: flag };

/** Fewer pixels show nothing to a model; a small number is probably meant as a number of tiles. */
const leastTile = 32;

/** The side of a tile, or what `Tiling` has. */
const tiling: OptionKind = {
  takes: `the side of a tile in pixels, ${leastTile} or more, or { size, overlap, iou } with an overlap below the size,`,
  fits(value) {
    if (!isPlain(value)) return count.fits(value) && (value as number) >= leastTile;
    const { size, overlap, iou, ...others } = value as Record<string, unknown>;
    const sidesOf = (given: unknown): number[] => [given, given].flat().slice(0, 2) as number[];
    const zeroOrSides =
      overlap === undefined ||
      countOrZero.fits(overlap) ||
      (Array.isArray(overlap) && overlap.length === 2 && overlap.every(countOrZero.fits));
    if (!(count.fits(size) || sides.fits(size)) || !zeroOrSides || Object.keys(others).length > 0) return false;
    const [[width, height], [x, y]] = [sidesOf(size), sidesOf(overlap ?? 0)];
    return (iou === undefined || share.fits(iou)) && Math.min(width, height) >= leastTile && x < width && y < height;
  },
};

/** The side of a square, or height and width. */
const shape: OptionKind = {
  takes: `side in pixels up to ${largestSide}, or [height, width],`,
  fits: (value) => (count.fits(value) || sides.fits(value)) && Math.max(...sidesOf(value as Shape)) <= largestSide,
};

/** What `predict` takes for one image. */
export const predictOptions = {
  tiles: tiling,
  shape,
  threshold: { takes: askedTake, fits: areAsked },
  classes: texts,
  maxDetections: count,
  transfer: flag,
  signal: abortSignal,
  autoOrient: flag,
  ...resizeOptions,
};

const countOrAuto: OptionKind = {
  takes: 'positive integer or "auto"',
  fits: (value) => value === "auto" || count.fits(value),
};

/** A function, or the name of a usual one. */
const handling: OptionKind = {
  takes: '"throw", "return" or a function',
  fits: (value) => value === "throw" || value === "return" || callback.fits(value),
};

/** What `predict` takes for many images. */
export const predictManyOptions = { ...predictOptions, batch: countOrAuto, onError: handling };
