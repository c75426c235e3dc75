// Affine maps of an image, its boxes and its masks.
import { decodeMask, type Mask, maskBox, maskOfBounds } from "../../masks/mask.js";
import { changedMasks, keepInside, type Sample } from "../images/geometry.js";

export interface AffineMap {
  /** Degrees, counter-clockwise; default 0. */
  rotate?: number;
  /** Default 1 and 1. */
  scale?: readonly [x: number, y: number];
  /** Degrees along x and y; default 0. */
  shear?: readonly [x: number, y: number];
  /** Pixels; default 0. */
  translate?: readonly [x: number, y: number];
}

/**
 * Scales, rotates, shears and shifts about the image's centre, in this order: bilinear, black outside. A box becomes
 * the extent of its mapped corners, clipped to the image; objects whose box is outside the image are dropped. Of a mask
 * the nearest pixel is taken.
 */
export function affine(
  sample: Sample,
  { rotate = 0, scale = [1, 1], shear = [0, 0], translate = [0, 0] }: AffineMap,
): Sample {
  const { width, height } = sample;
  const radians = (rotate * Math.PI) / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  const [kx, ky] = shear.map((angle) => Math.tan((angle * Math.PI) / 180));
  const a = (cos - kx * sin) * scale[0];
  const b = (sin + kx * cos) * scale[1];
  const c = (ky * cos - sin) * scale[0];
  const d = (ky * sin + cos) * scale[1];
  const [cx, cy] = [width / 2, height / 2];
  const [tx, ty] = [cx + translate[0], cy + translate[1]];
  const extentOf = ([left, top, right, bottom]: Iterable<number>): [number, number, number, number] => {
    const xs: number[] = [];
    const ys: number[] = [];
    for (const [x, y] of [
      [left - cx, top - cy],
      [right - cx, top - cy],
      [left - cx, bottom - cy],
      [right - cx, bottom - cy],
    ]) {
      xs.push(a * x + b * y + tx);
      ys.push(c * x + d * y + ty);
    }
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  };
  const boxes = new Float32Array(sample.boxes.length);
  for (let i = 0; i < boxes.length; i += 4) boxes.set(extentOf(sample.boxes.subarray(i, i + 4)), i);
  const determinant = a * d - b * c;
  const inverse = [d / determinant, -b / determinant, -c / determinant, a / determinant] as const;
  const data = warp(sample, inverse, cx, cy, tx, ty);
  const placeOf = (x: number, y: number): [u: number, v: number] => {
    const [px, py] = [x + 0.5 - tx, y + 0.5 - ty];
    return [inverse[0] * px + inverse[1] * py + cx - 0.5, inverse[2] * px + inverse[3] * py + cy - 0.5];
  };
  const masks = changedMasks(sample, (mask) => warpMask(mask, placeOf, extentOf(maskBox(mask) ?? [0, 0, 0, 0])));
  return keepInside({ ...sample, ...masks, data, boxes });
}

/**
 * @param placeOf where a pixel of the result comes from
 * @param extent of the object in the result; it may leave the image
 */
function warpMask(
  mask: Mask,
  placeOf: (x: number, y: number) => [u: number, v: number],
  [left, top, right, bottom]: readonly number[],
): Mask {
  const { height, width } = mask;
  const bits = decodeMask(mask);
  const bounds: number[] = [];
  const [firstRow, lastRow] = [Math.max(0, Math.floor(top) - 1), Math.min(height, Math.ceil(bottom) + 1)];
  for (let x = Math.max(0, Math.floor(left) - 1); x < Math.min(width, Math.ceil(right) + 1); x++) {
    let before = 0;
    for (let y = firstRow; y < lastRow; y++) {
      const [u, v] = placeOf(x, y).map((place) => Math.floor(place + 0.5));
      const bit = u < 0 || v < 0 || u >= width || v >= height ? 0 : bits[v * width + u];
      if (bit !== before) bounds.push(x * height + y);
      before = bit;
    }
    if (before === 1) bounds.push(x * height + lastRow);
  }
  return maskOfBounds(bounds, height, width);
}

/** For each pixel of the result: the inverse map `m` gives its place in the source, which is read bilinearly. */
function warp(
  { data: source, width, height }: Sample,
  m: readonly number[],
  cx: number,
  cy: number,
  tx: number,
  ty: number,
): Uint8Array {
  const data = new Uint8Array(source.length);
  const pixel = (x: number, y: number, k: number): number =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : source[(y * width + x) * 3 + k];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [px, py] = [x + 0.5 - tx, y + 0.5 - ty];
      const u = m[0] * px + m[1] * py + cx - 0.5;
      const v = m[2] * px + m[3] * py + cy - 0.5;
      const [x0, y0] = [Math.floor(u), Math.floor(v)];
      if (x0 < -1 || y0 < -1 || x0 >= width || y0 >= height) continue;
      const [fx, fy] = [u - x0, v - y0];
      for (let k = 0; k < 3; k++) {
        const upper = pixel(x0, y0, k) * (1 - fx) + pixel(x0 + 1, y0, k) * fx;
        const lower = pixel(x0, y0 + 1, k) * (1 - fx) + pixel(x0 + 1, y0 + 1, k) * fx;
        data[(y * width + x) * 3 + k] = Math.round(upper * (1 - fy) + lower * fy);
      }
    }
  return data;
}
