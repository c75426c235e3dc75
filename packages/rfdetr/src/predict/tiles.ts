// Large images in overlapping tiles: where these lie, and how what is found in them becomes one list. No import of
// Node.
import type { RgbPixels } from "../data/images/rgb.js";
import { placeMask } from "../masks/segments.js";
import type { Detection } from "../model/types.js";
import { largestOf } from "../support/lists.js";

/** How an image is cut. */
export interface Tiling {
  /** Width and height of a tile in pixels of the image, each 32 or more. None is padded. */
  size: number | readonly [width: number, height: number];
  /** Pixels that neighbours share at least; default: a fifth of the size. */
  overlap?: number | readonly [width: number, height: number];
  /** Of two boxes of one class whose intersection over union is above this, the better one stays; default 0.5. */
  iou?: number;
}

/** A part of an image in pixels: left, top, right, bottom. */
export type TileBox = [number, number, number, number];

const usualIou = 0.5;

/**
 * Where the tiles of an image lie, row after row. Source: `InferenceSlicer` of supervision 0.31.2.
 * @param width of the image in pixels
 * @param height of the image in pixels
 */
export function tileBoxes(width: number, height: number, { size, overlap }: Tiling): TileBox[] {
  const sizes = pair(size);
  const shared = overlap === undefined ? sizes.map((side) => Math.round(side / 5)) : pair(overlap);
  const [lefts, tops] = [width, height].map((side, axis) => starts(side, sizes[axis], shared[axis]));
  return tops.flatMap((top) =>
    lefts.map((left): TileBox => [left, top, Math.min(left + sizes[0], width), Math.min(top + sizes[1], height)]),
  );
}

/** The first pixels of tiles along a side. */
function starts(side: number, size: number, overlap: number): number[] {
  if (side <= size) return [0];
  const last = side - size;
  const end = overlap === 0 ? side : last;
  const found: number[] = [];
  for (let at = 0; at < end; at += size - overlap) found.push(at);
  // Tiles that share nothing are cut at the edge; the others are moved inwards.
  return overlap === 0 ? found : [...found, last];
}

/** Tiles that follow one another, and the part of the image that holds them. */
export interface TileGroup {
  tiles: TileBox[];
  part: TileBox;
}

/** Groups of tiles in parts of at most `most` pixels of the image. A tile that is larger has a group of its own. */
export function groupTiles(tiles: readonly TileBox[], most: number): TileGroup[] {
  const groups: TileGroup[] = [];
  for (const tile of tiles) {
    const last = groups.at(-1);
    const part = last && around(last.part, tile);
    if (last && part && (part[2] - part[0]) * (part[3] - part[1]) <= most) {
      last.tiles.push(tile);
      last.part = part;
    } else groups.push({ tiles: [tile], part: tile });
  }
  return groups;
}

/** The smallest part that holds two. */
const around = (a: TileBox, b: TileBox): TileBox => [
  Math.min(a[0], b[0]),
  Math.min(a[1], b[1]),
  Math.max(a[2], b[2]),
  Math.max(a[3], b[3]),
];

/** The pixels of a tile. */
export function cutTile({ data, width }: RgbPixels, [left, top, right, bottom]: TileBox): RgbPixels {
  const row = (right - left) * 3;
  const tile = new Uint8Array(row * (bottom - top));
  for (let y = top; y < bottom; y++) {
    const from = (y * width + left) * 3;
    tile.set(data.subarray(from, from + row), (y - top) * row);
  }
  return { data: tile, width: right - left, height: bottom - top };
}

/**
 * What was found in tiles as one list for the image: boxes are moved to their place, and by class, best first, each
 * box removes those that it overlaps (non-maximum suppression). Equal scores keep the order of the tiles. An object
 * that is larger than the overlap may be found in parts. Masks are moved with their boxes, and do not decide.
 * @param found detections of each tile, in its pixels
 */
export function mergeTiles(
  found: readonly (readonly Detection[])[],
  tiles: readonly TileBox[],
  { iou = usualIou }: Tiling,
): Detection[] {
  const [width, height] = [2, 3].map((edge) =>
    largestOf(
      tiles.map((tile) => tile[edge]),
      0,
    ),
  );
  const moved = found.flatMap((detections, i) => {
    const [left, top] = tiles[i];
    return detections.map((detection): Detection => {
      const [x1, y1, x2, y2] = detection.box;
      const mask = detection.mask && { mask: placeMask(detection.mask, left, top, height, width) };
      return { ...detection, box: [x1 + left, y1 + top, x2 + left, y2 + top], ...mask };
    });
  });
  const kept = new Map<number, Detection[]>();
  const limit = Math.fround(iou);
  return moved
    .sort((a, b) => b.score - a.score)
    .filter((detection) => {
      const better = kept.get(detection.classId) ?? [];
      if (better.some(({ box }) => Math.fround(cornersIou(box, detection.box)) > limit)) return false;
      kept.set(detection.classId, [...better, detection]);
      return true;
    });
}

/** Intersection over union of two boxes (left, top, right, bottom); 0 where both are empty. */
export function cornersIou(a: readonly number[], b: readonly number[]): number {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const shared = width * height;
  const area = (box: readonly number[]): number => (box[2] - box[0]) * (box[3] - box[1]);
  const union = area(a) + area(b) - shared;
  return union > 0 ? shared / union : 0;
}

const pair = (value: number | readonly [number, number]): readonly [number, number] =>
  typeof value === "number" ? [value, value] : value;
