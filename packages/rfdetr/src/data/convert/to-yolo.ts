// The annotations of a COCO image as YOLO labels, which are a class and a box in fractions of the image.
import { joinPolygons, maskPolygons } from "../../masks/contours.js";
import { maskArea } from "../../masks/mask.js";
import { type Outline, outlineMask } from "../../masks/outline.js";
import { polygonMask } from "../../masks/polygon.js";
import { boxFault, clippedCorners } from "../check/box-frame.js";
import { outlineFault } from "../check/outline-checks.js";
import { frameOf, type ListedBox, type ListedImage } from "../formats/listing.js";
import { outlineExtent, readSegmentation } from "../formats/segmentation.js";
import { labelLine } from "../write/unchanged.js";
import type { WrittenBox } from "../write/written.js";
import type { ConvertImage, Losses } from "./losses.js";

const kept = new Set(["id", "image_id", "category_id", "bbox", "iscrowd", "segmentation"]);

export const toYolo: ConvertImage = (image, losses) => {
  const { width, height } = frameOf(image);
  const turned = orientationOfReaders(image);
  if (turned !== 1)
    losses.add("images are annotated as they are stored, and YOLO's as they are turned: their boxes are turned");
  const swapped = turned >= 5;
  const boxes = image.boxes.flatMap((box): WrittenBox[] => {
    const { label, entry } = box;
    // Of a dataset with splits of both layouts.
    if (entry === null && label >= 0) return [{ label, box: box.box, entry: {}, line: labelLine(box) }];
    if (!canKeep(box, losses)) return [];
    const [left, top, right, bottom] = clippedCorners(box);
    const corners = [left / width, top / height, right / width, bottom / height] as const;
    const [x, y, r, b] = turned === 1 ? corners : turnBox(corners, turned);
    const [w, h] = swapped ? [height, width] : [width, height];
    const written = { label, box: [x * w, y * h, (r - x) * w, (b - y) * h], entry: {} } as const;
    const line = polygonLine(box, turned, losses);
    return [line === null ? written : { ...written, line }];
  });
  return { width: swapped ? height : width, height: swapped ? width : height, boxes };
};

/** Whether YOLO has a place for a box; counts what is lost of it or with it. */
function canKeep(box: ListedBox, losses: Losses): boolean {
  const { entry, crowd, label } = box;
  if (crowd) losses.add("crowd regions are left out: YOLO has none");
  else if (label < 0) losses.add("annotations are left out: their class is not in the train split");
  else if (boxFault(box) === "empty") losses.add("empty boxes are left out");
  else {
    if (boxFault(box) === "outside") losses.add("boxes that leave their image are clipped");
    const [, , w, h] = box.box;
    if (box.area !== null && Math.abs(box.area - w * h) > 0.01 * w * h)
      losses.add("areas are left out: YOLO has none, and the area of the box counts");
    for (const key of Object.keys(entry ?? {}))
      if (!kept.has(key) && key !== "area") losses.add(`values of ${key} are left out: YOLO has no place for them`);
    return true;
  }
  return false;
}

/** A box and its outline may differ by so many pixels, and by this share of the box's longer side. */
const near = { pixels: 1.5, share: 0.02 };

/**
 * The line of an object with an outline; null for one with a box alone. YOLO has one polygon for an object, and the box
 * around it: parts and holes are joined by paths without an area.
 */
function polygonLine({ box, image, entry, label, ...rest }: ListedBox, turned: number, losses: Losses): string | null {
  const segmentation = readSegmentation(entry?.segmentation);
  const { outline } = segmentation;
  const own = { box, image, entry, label, ...rest, segmentation };
  if (outlineFault(own) !== null) losses.add("outlines that cannot be read are left out: the boxes are written");
  if (outline === null || outlineFault(own) !== null) return null;
  const frame = frameOf(image);
  const { width, height } = "mask" in outline ? outline.mask : frame;
  if (maskArea(outlineMask(outline, height, width)) === 0) {
    losses.add("outlines that enclose no pixel of their image are left out: the boxes are written");
    return null;
  }
  const points = onePolygon(outline, height, width);
  const corners = clippedCorners(own);
  const around = outlineExtent({ polygons: [points] }).map((side, i) =>
    i % 2 === 0 ? (side * frame.width) / width : (side * frame.height) / height,
  );
  const most = Math.max(near.pixels, near.share * Math.max(box[2], box[3]));
  if (around.some((side, i) => Math.abs(side - corners[i]) > most))
    losses.add("boxes are now those around their outlines, since YOLO states the outline alone");
  const numbers: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [points[i] / width, points[i + 1] / height].map((value) => Math.min(1, Math.max(0, value)));
    numbers.push(...turnBox([x, y, x, y], turned).slice(0, 2));
  }
  return [label, ...numbers].join(" ");
}

/**
 * A polygon that is filled as the outline is. Where parts overlap, or leave the image, it follows the pixels of the
 * object.
 */
function onePolygon(outline: Outline, height: number, width: number): Float64Array {
  const [left, top, right, bottom] = outlineExtent(outline);
  if (!("mask" in outline) && left > -0.5 && top > -0.5 && right < width + 0.5 && bottom < height + 0.5) {
    if (outline.polygons.length === 1) return outline.polygons[0];
    const joined = joinPolygons(outline.polygons);
    const [whole, own] = [outlineMask(outline, height, width), polygonMask(joined, height, width)];
    if (maskArea(whole) === maskArea(own)) return joined;
  }
  return joinPolygons(maskPolygons(outlineMask(outline, height, width)));
}

/**
 * The orientation by which readers of the copy turn the picture further than the annotations do: YOLO states no sizes,
 * so nothing tells them that the stored picture was annotated.
 */
function orientationOfReaders({ header, orientation }: ListedImage): number {
  return header !== null && orientation === 1 ? header.orientation : 1;
}

type Corners = readonly [left: number, top: number, right: number, bottom: number];

/**
 * A box of the stored picture on the upright one, in fractions of each (EXIF 2.32, tag 274).
 * @internal for tests
 */
export function turnBox([left, top, right, bottom]: Corners, orientation: number): Corners {
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const columns = fromRight ? ([1 - right, 1 - left] as const) : ([left, right] as const);
  const rows = fromBottom ? ([1 - bottom, 1 - top] as const) : ([top, bottom] as const);
  const [across, down] = orientation >= 5 ? [rows, columns] : [columns, rows];
  return [across[0], down[0], across[1], down[1]];
}
