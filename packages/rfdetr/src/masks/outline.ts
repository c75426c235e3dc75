// The outline of an object as annotations state it, and its pixels.
import { type Mask, maskArea, uniteMasks } from "./mask.js";
import { enclosesPixel, polygonMask } from "./polygon.js";

/**
 * Polygons, each `x, y, x, y, …` in pixels of the annotated size, or a mask at that size. The object is all that lies
 * in any of the polygons.
 */
export type Outline = { polygons: Float64Array[] } | { mask: Mask };

/**
 * The pixels of an object. Polygons are filled as the COCO API fills them.
 * @param height of the annotated size in pixels
 * @param width of the annotated size in pixels
 * @example
 * import { maskArea, outlineMask } from "rfdetr/masks";
 * const square = { polygons: [Float64Array.of(2, 2, 6, 2, 6, 6, 2, 6)] };
 * const area = maskArea(outlineMask(square, 10, 10)); // 16
 */
export function outlineMask(outline: Outline, height: number, width: number): Mask {
  if ("mask" in outline) return outline.mask;
  const masks = outline.polygons.map((points) => polygonMask(points, height, width));
  return masks.length === 0 ? { height, width, counts: Uint32Array.of(height * width) } : uniteMasks(masks);
}

/** Whether the mask of an outline, at the annotated size, has a pixel. */
export function hasPixel(outline: Outline, height: number, width: number): boolean {
  if ("mask" in outline) return maskArea(outline.mask) > 0;
  return outline.polygons.some((points) => enclosesPixel(points, height, width));
}

/**
 * The outline of a box: left, top, right, bottom in pixels.
 *
 * @example
 * maskArea(outlineMask(boxOutline([2, 2, 6, 6]), 10, 10)); // 16
 */
export function boxOutline([left, top, right, bottom]: Iterable<number>): Extract<Outline, { polygons: unknown }> {
  return { polygons: [Float64Array.of(left, top, right, top, right, bottom, left, bottom)] };
}
