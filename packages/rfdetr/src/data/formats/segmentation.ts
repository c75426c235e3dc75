// The segmentation of an annotation: polygons or a mask, read into little memory.
import { fromCocoRuns } from "../../masks/coco-runs.js";
import { type Mask, maskArea, maskBox } from "../../masks/mask.js";
import type { Outline } from "../../masks/outline.js";

/** What the annotation of an object says of its outline. */
export class Segmentation {
  /**
   * @param outline null where there is none, or one that encloses nothing
   * @param fault why it cannot be read: what it is instead; null if it can
   */
  private constructor(
    readonly outline: Outline | null,
    readonly fault: string | null,
  ) {}

  static readonly none = new Segmentation(null, null);
  static readonly malformed = (fault: string): Segmentation => new Segmentation(null, fault);

  static ofPolygons(polygons: readonly ArrayLike<number>[]): Segmentation {
    // Fewer than three points enclose nothing.
    const parts = polygons.filter((points) => points.length >= 6);
    if (parts.length === 0 || !enclose(parts)) return Segmentation.none;
    const all = new Float64Array(parts.reduce((sum, points) => sum + points.length, 0));
    let at = 0;
    const views = parts.map((points) => {
      all.set(points, at);
      at += points.length;
      return all.subarray(at - points.length, at);
    });
    return new Segmentation({ polygons: views }, null);
  }

  static ofMask(mask: Mask): Segmentation {
    return maskArea(mask) === 0 ? Segmentation.none : new Segmentation({ mask }, null);
  }
}

/**
 * Reads the `segmentation` of a COCO annotation: polygons, or a run-length encoding with its counts as numbers or as
 * text. One that was read before is returned as it is.
 */
export function readSegmentation(value: unknown): Segmentation {
  if (value instanceof Segmentation) return value;
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return Segmentation.none;
  if (Array.isArray(value)) {
    const parts: unknown[] = typeof value[0] === "number" ? [value] : value;
    const odd = parts.findIndex(
      (part) => !Array.isArray(part) || part.length % 2 === 1 || !part.every((number) => Number.isFinite(number)),
    );
    if (odd < 0) return Segmentation.ofPolygons(parts as number[][]);
    return Segmentation.malformed(`polygon ${odd} is no list of pairs of numbers`);
  }
  const mask = fromCocoRuns(value);
  return mask === null
    ? Segmentation.malformed("it is neither polygons nor a size with counts that fill it")
    : Segmentation.ofMask(mask);
}

/** Whether the points have a width and a height. */
function enclose(parts: readonly ArrayLike<number>[]): boolean {
  const box = extentOf(parts);
  return box[2] > box[0] && box[3] > box[1];
}

/** The box around points: left, top, right, bottom. */
function extentOf(parts: readonly ArrayLike<number>[]): [number, number, number, number] {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const points of parts)
    for (let i = 0; i + 1 < points.length; i += 2) {
      [left, right] = [Math.min(left, points[i]), Math.max(right, points[i])];
      [top, bottom] = [Math.min(top, points[i + 1]), Math.max(bottom, points[i + 1])];
    }
  return [left, top, right, bottom];
}

/** The box around an outline that encloses something: left, top, right, bottom in pixels. */
export function outlineExtent(outline: Outline): [number, number, number, number] {
  return "mask" in outline ? (maskBox(outline.mask) ?? [0, 0, 0, 0]) : extentOf(outline.polygons);
}
