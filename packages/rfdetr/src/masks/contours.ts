// The outlines of a mask as polygons.
import { type Mask, maskBox } from "./mask.js";
import { maskWindow } from "./segments.js";

/** Steps of a walk along the edges of pixels: right, down, left, up. */
const steps = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/**
 * The outlines of a mask, along the edges of its pixels. Each part of the object has a polygon, clockwise on the
 * screen, and each hole one, anticlockwise. Pixels that touch at a corner alone belong to different parts. Filling all
 * of them by the even-odd or the nonzero rule gives the mask again, pixel by pixel: those whose middle is inside.
 * @returns `x, y, x, y, …` of the corners of each polygon, in pixels; empty if the mask is
 * @example
 * import { encodeMask, maskPolygons } from "rfdetr/masks";
 * const mask = encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2);
 * const path = maskPolygons(mask).map((corners) => `M${corners.join(" ")}Z`).join("");
 * const svg = `<path d="${path}" fill-rule="evenodd"/>`;
 */
export function maskPolygons(mask: Mask): Float64Array[] {
  const box = maskBox(mask);
  if (box === null) return [];
  const [left, top, right, bottom] = box;
  /** 2 where a polygon has the upper edge of a pixel, as each polygon has of some. */
  const bits = maskWindow(mask, mask, box);
  const [width, height] = [right - left, bottom - top];
  const inside = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && bits[y * width + x] !== 0;
  const polygons: Float64Array[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (bits[y * width + x] !== 1 || inside(x, y - 1)) continue;
      const corners = walk(x, y, inside, (cx, cy) => {
        bits[cy * width + cx] = 2;
      });
      polygons.push(Float64Array.from(corners, (value, i) => value + (i % 2 === 0 ? left : top)));
    }
  return polygons;
}

/**
 * Walks around a part or a hole, with the object at the right hand.
 * @param startX pixel whose upper edge is the first step, also `startY`
 * @param passed is called with the pixel of each upper edge
 */
function walk(
  startX: number,
  startY: number,
  inside: (x: number, y: number) => boolean,
  passed: (x: number, y: number) => void,
): number[] {
  const corners: number[] = [];
  let [x, y, direction] = [startX, startY, 0];
  do {
    if (direction === 0) passed(x, y);
    const [dx, dy] = steps[direction];
    x += dx;
    y += dy;
    // Of the four pixels around a corner, those ahead at the right and the left hand.
    const right = inside(x + (dx - dy - 1) / 2, y + (dy + dx - 1) / 2);
    const left = inside(x + (dx + dy - 1) / 2, y + (dy - dx - 1) / 2);
    const next = right ? (left ? (direction + 3) % 4 : direction) : (direction + 1) % 4;
    if (next !== direction) corners.push(x, y);
    direction = next;
  } while (x !== startX || y !== startY || direction !== 0);
  return corners;
}

/**
 * Several polygons as one: a path goes from each to the next and all the way back, so that it has no area. Formats that
 * have one polygon for an object keep its parts and holes so.
 * @param polygons `x, y, x, y, …` of each; at least one
 *
 * @example
 * const squares = [0, 4].map((x) => Float64Array.of(x, 0, x + 2, 0, x + 2, 2, x, 2));
 * maskArea(outlineMask({ polygons: [joinPolygons(squares)] }, 4, 8)); // 8
 */
export function joinPolygons(polygons: readonly Float64Array[]): Float64Array {
  const joined: number[] = [];
  const path: number[] = [];
  for (const polygon of polygons) {
    const start = path.length === 0 ? 0 : nearest(polygon, path[path.length - 2], path[path.length - 1]);
    const turned = [...polygon.subarray(start), ...polygon.subarray(0, start)];
    // One more corner closes each polygon but the only one.
    for (const value of turned) joined.push(value);
    if (polygons.length > 1) joined.push(turned[0], turned[1]);
    path.push(turned[0], turned[1]);
  }
  for (let at = path.length - 4; at >= 2; at -= 2) joined.push(path[at], path[at + 1]);
  return Float64Array.from(joined);
}

/** Where the corner of a polygon that is nearest to a point stands. */
function nearest(polygon: Float64Array, x: number, y: number): number {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let at = 0; at < polygon.length; at += 2) {
    const distance = (polygon[at] - x) ** 2 + (polygon[at + 1] - y) ** 2;
    if (distance < least) [best, least] = [at, distance];
  }
  return best;
}
