// The masks of annotated objects.
import { type Mask, maskArea } from "../masks/mask.js";
import { boxOutline, hasPixel, outlineMask } from "../masks/outline.js";
import type { Regions } from "./formats/dataset.js";

/**
 * The mask of each object at the annotated size; for an object without an outline, or with one that encloses no pixel,
 * the rectangle of its box.
 * @returns null where the data was opened without outlines
 */
export function regionMasks({ boxes, outlines }: Pick<Regions, "boxes" | "outlines">, height: number, width: number) {
  if (outlines === undefined) return null;
  return outlines.map((outline, i): Mask => {
    const own = outline === null ? null : outlineMask(outline, height, width);
    if (own !== null && maskArea(own) > 0) return own;
    return outlineMask(boxRectangle(boxes.subarray(i * 4, i * 4 + 4), height, width), height, width);
  });
}

/** The outline of a box: left, top, right, bottom. One that encloses no pixel grows to the pixels that it touches. */
export function boxRectangle(corners: ArrayLike<number>, height: number, width: number) {
  const outline = boxOutline(Array.from(corners));
  if (hasPixel(outline, height, width)) return outline;
  const left = Math.min(width - 1, Math.floor(corners[0]));
  const top = Math.min(height - 1, Math.floor(corners[1]));
  return boxOutline([left, top, Math.max(left + 1, Math.ceil(corners[2])), Math.max(top + 1, Math.ceil(corners[3]))]);
}
