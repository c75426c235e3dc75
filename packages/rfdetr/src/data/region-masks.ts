// The masks of annotated objects.
import type { Mask } from "../masks/mask.js";
import { boxOutline, outlineMask } from "../masks/outline.js";
import type { Regions } from "./formats/dataset.js";

/**
 * The mask of each object at the annotated size; for an object without an outline, the rectangle of its box.
 * @returns null where the data was opened without outlines
 */
export function regionMasks({ boxes, outlines }: Pick<Regions, "boxes" | "outlines">, height: number, width: number) {
  if (outlines === undefined) return null;
  return outlines.map(
    (outline, i): Mask => outlineMask(outline ?? boxOutline(boxes.subarray(i * 4, i * 4 + 4)), height, width),
  );
}
