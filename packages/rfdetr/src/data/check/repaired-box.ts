// An annotation as the repaired copy has it: in pixels of the file, clipped, with an outline.
import { toCocoRuns } from "../../masks/coco-runs.js";
import type { Outline } from "../../masks/outline.js";
import { resizeMask } from "../../masks/segments.js";
import { agreeing, counted } from "../../support/format.js";
import { decodedSize, frameOf, type ListedBox, type ListedImage } from "../formats/listing.js";
import { readSegmentation } from "../formats/segmentation.js";
import type { Size } from "../images/image-header.js";
import { boxRectangle } from "../region-masks.js";
import { labelFields } from "../write/unchanged.js";
import type { WrittenBox } from "../write/written.js";
import { boxFault, clippedCorners, usableBoxes } from "./box-frame.js";
import { lacksOutline, maskFit, outlineFault } from "./outline-checks.js";

/** The boxes of an image that the copy has. */
export const keptBoxes = (image: ListedImage): ListedBox[] =>
  usableBoxes(image).filter((box) => outlineFault(box) === null);

/** The size of the file of an image, in which the copy states its boxes. */
export function fileSize(image: ListedImage): Size {
  return image.header === null ? frameOf(image) : decodedSize(image.header, image.orientation);
}

/** Fields of annotations that may be in pixels and stayed as they were, with the number of annotations. */
export class UnscaledFields {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  sentences(): string[] {
    return [...this.#counts].map(
      ([name, count]) =>
        `${name} of ${counted(count, "annotation")} ${agreeing(count, "is", "are")} as before although the ${agreeing(count, "box is", "boxes are")} scaled to the size of the file: correct ${agreeing(count, "it", "them")} if ${agreeing(count, "it is", "they are")} in pixels`,
    );
  }
}

/**
 * A box in pixels of the file, with the fields of its annotation or the line of its label; outlines go with it.
 * @param unscaled takes the fields that may be in pixels and stay as they are
 */
export function repairedBox(box: ListedBox, unscaled: UnscaledFields): WrittenBox {
  const { label, image } = box;
  const size = fileSize(image);
  const frame = frameOf(image);
  const [sx, sy] = [size.width / frame.width, size.height / frame.height];
  const outside = boxFault(box) !== null;
  const [x, y, w, h] = outside ? clipped(box) : box.box;
  const own: ListedBox["box"] = [x * sx, y * sy, w * sx, h * sy];
  const corners = [own[0], own[1], own[0] + own[2], own[1] + own[3]];
  const rectangle = lacksOutline(box) ? boxRectangle(corners, size.height, size.width) : null;
  const outline = rectangle === null ? null : { segmentation: rectangle.polygons.map((points) => [...points]) };
  if (box.entry === null) {
    const line = outside ? clippedLine(box, own, size) : box.stated;
    const stated = rectangle === null ? line : polygonLine(box, rectangle, size);
    return { label, box: own, entry: outline ?? labelFields(box), line: stated };
  }
  const { segmentation, area: _area, bbox: _bbox, ...others } = box.entry;
  const kept = sx === 1 && sy === 1 ? others : scaledFields(others, sx, sy, unscaled);
  if (box.area !== null) kept.area = box.area * sx * sy;
  kept.iscrowd = box.crowd ? 1 : 0;
  if (outline !== null) Object.assign(kept, outline);
  else if (Array.isArray(segmentation))
    kept.segmentation = sx === 1 && sy === 1 ? segmentation : scaledPolygons(segmentation, sx, sy);
  else {
    const runs = runsOf(box, size);
    if (runs !== null && runs !== undefined) kept.segmentation = runs;
  }
  return { label, box: own, entry: kept };
}

/** `keypoints` of COCO and `…_kpts` of COCO-WholeBody are x, y and visibility; its `…_box` is x, y, width, height. */
const triples = /^keypoints$|_kpts$/;
const pairs = /_box$/;

/** The fields of an annotation beside box, area and outline, with those scaled that are known to be in pixels. */
function scaledFields(
  fields: Readonly<Record<string, unknown>>,
  sx: number,
  sy: number,
  unscaled: UnscaledFields,
): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]) => {
    if (!hasNumbers(value)) return [name, value];
    const flat = value.every(Number.isFinite);
    if (flat && triples.test(name) && value.length % 3 === 0) return [name, scaled(value, sx, sy, 3)];
    if (flat && pairs.test(name) && value.length === 4) return [name, scaled(value, sx, sy)];
    unscaled.add(name);
    return [name, value];
  });
  return Object.fromEntries(entries);
}

/** Whether a value is a list that holds numbers, or lists of them. */
function hasNumbers(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.some((each) => typeof each === "number" || hasNumbers(each));
}

/** A list of `x, y` with the scale of each; of every `step` numbers those from the third on stay. */
const scaled = (points: unknown, sx: number, sy: number, step = 2): unknown =>
  Array.isArray(points) ? points.map((c, i) => (c as number) * ([sx, sy][i % step] ?? 1)) : points;

/** Polygons; some tools write the only one without the list around it. */
const scaledPolygons = (polygons: readonly unknown[], sx: number, sy: number): unknown =>
  typeof polygons[0] === "number" ? scaled(polygons, sx, sy) : polygons.map((points) => scaled(points, sx, sy));

/** The line of a label whose box leaves the image: points of a polygon go to the edge; what is behind a box stays. */
function clippedLine(
  { label, stated, polygon }: ListedBox,
  [x, y, w, h]: ListedBox["box"],
  { width, height }: Size,
): string {
  const numbers = stated.split(/\s+/).slice(1);
  if (polygon) return [label, ...numbers.map((number) => Math.min(1, Math.max(0, Number(number))))].join(" ");
  return [label, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height, ...numbers.slice(4)].join(" ");
}

type Polygons = Extract<Outline, { polygons: unknown }>;

/** The line of a label with a polygon. */
const polygonLine = ({ label }: ListedBox, { polygons: [points] }: Polygons, { width, height }: Size): string =>
  [label, ...Array.from(points, (c, i) => c / (i % 2 === 0 ? width : height))].join(" ");

/**
 * The mask of an annotation at the size of the file, as stated where it has this size.
 * @returns undefined where it has none, or polygons; null where it does not fit the image
 */
export function runsOf(box: ListedBox, { width, height }: Size): unknown {
  const stated = box.entry?.segmentation;
  if (stated === null || stated === undefined || Array.isArray(stated)) return undefined;
  const segmentation = readSegmentation(stated);
  if (segmentation.fault !== null || maskFit({ ...box, segmentation }) === "other") return null;
  const { outline } = segmentation;
  if (outline === null || !("mask" in outline)) return undefined;
  const same = outline.mask.height === height && outline.mask.width === width;
  return same ? stated : toCocoRuns(resizeMask(outline.mask, height, width));
}

function clipped(box: ListedBox): ListedBox["box"] {
  const [left, top, right, bottom] = clippedCorners(box);
  return [left, top, right - left, bottom - top];
}
