// The annotations of a COCO image as YOLO labels, which are a class and a box in fractions of the image.
import { boxFault, clippedCorners } from "../check/box-frame.js";
import { frameOf, type ListedBox, type ListedImage } from "../formats/listing.js";
import type { WrittenBox } from "../write/write-dataset.js";
import type { ConvertImage, Losses } from "./losses.js";

const kept = new Set(["id", "image_id", "category_id", "bbox", "iscrowd", "segmentation"]);

export const toYolo: ConvertImage = (image, losses) => {
  const { width, height } = frameOf(image);
  const turned = orientationOfReaders(image);
  if (turned !== 1)
    losses.add("images are annotated as they are stored, and YOLO's as they are turned: their boxes are turned");
  const swapped = turned >= 5;
  const boxes = image.boxes.flatMap((box): WrittenBox[] => {
    if (!canKeep(box, losses)) return [];
    const [left, top, right, bottom] = clippedCorners(box);
    const corners = [left / width, top / height, right / width, bottom / height] as const;
    const [x, y, r, b] = turned === 1 ? corners : turnBox(corners, turned);
    const [w, h] = swapped ? [height, width] : [width, height];
    return [{ label: box.label, box: [x * w, y * h, (r - x) * w, (b - y) * h], entry: {} }];
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
    if (hasOutline(entry)) losses.add("outlines are left out: the boxes are written");
    const [, , w, h] = box.box;
    if (box.area !== null && Math.abs(box.area - w * h) > 0.01 * w * h)
      losses.add("areas are left out: YOLO has none, and the area of the box counts");
    for (const key of Object.keys(entry ?? {}))
      if (!kept.has(key) && key !== "area") losses.add(`values of ${key} are left out: YOLO has no place for them`);
    return true;
  }
  return false;
}

function hasOutline(entry: ListedBox["entry"]): boolean {
  const outline = entry?.segmentation;
  return Array.isArray(outline) ? outline.length > 0 : outline !== undefined && outline !== null;
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
