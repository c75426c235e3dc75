// What can be wrong with the outlines of objects. Nothing is found where they are not read.
import { maskArea, mostMaskPixels } from "../../masks/mask.js";
import { hasPixel } from "../../masks/outline.js";
import { resizeMask } from "../../masks/segments.js";
import { agreeing, counted } from "../../support/format.js";
import { frameOf, type ListedBox, type Listing } from "../formats/listing.js";
import { outlineExtent } from "../formats/segmentation.js";
import { type Fit, fitOf, usableBoxes, whereIs } from "./box-frame.js";
import { type Check, ofBoxes, ofSplit } from "./check-kinds.js";

/** Outlines may leave their boxes by this share of the box's longer side, or by so many pixels, without a remark. */
const most = { share: 0.1, pixels: 2 };

export const outlineChecks: readonly Check[] = [
  ofBoxes(
    "malformed outlines",
    "refused",
    "For segmentation: an outline that is neither polygons nor a mask of its image's shape.",
    (box) => {
      const fault = outlineFault(box);
      return fault === null ? null : `${whereIs(box)} has an outline that cannot be used: ${fault}`;
    },
  ),
  ofBoxes(
    "masks of another scale",
    "repaired",
    "For segmentation: a mask has the shape of its image at another scale; it is resized.",
    (box) => {
      if (maskFit(box) !== "scaled") return null;
      const { width, height } = frameOf(box.image);
      return `${whereIs(box)} has a mask of ${maskSize(box)} pixels and its image has ${width}×${height}`;
    },
  ),
  ofSplit(
    "no outlines",
    "refused",
    "For segmentation: more than half of the objects have a box only. Train a detector, or annotate the objects.",
    (split) => {
      const { objects, without } = withoutOutline(split);
      if (without.length * 2 <= objects) return null;
      return `${sentence(split, objects, without)}: the masks would be rectangles`;
    },
  ),
  ofSplit(
    "objects without outlines",
    "repaired",
    "For segmentation: some objects have a box only, or an outline that encloses nothing. The rectangle of the box is taken as their mask.",
    (split) => {
      const { objects, without } = withoutOutline(split);
      if (without.length === 0 || without.length * 2 > objects) return null;
      return `${sentence(split, objects, without)}: the rectangles of their boxes are taken as masks`;
    },
  ),
  ofBoxes(
    "outlines outside their boxes",
    "kept",
    "For segmentation: an outline reaches far out of its box; one of the two belongs to another object.",
    (box) => {
      const outline = box.segmentation?.outline;
      if (box.crowd || outline === undefined || outline === null || maskFit(box) !== "same") return null;
      const [x, y, w, h] = box.box;
      const [left, top, right, bottom] = outlineExtent(outline);
      const out = Math.max(x - left, y - top, right - x - w, bottom - y - h);
      if (out <= Math.max(most.pixels, most.share * Math.max(w, h))) return null;
      const around = [left, top, right - left, bottom - top].map((value) => Math.round(value * 10) / 10);
      return `the outline of ${whereIs(box)} is around ${around.join(", ")} and its box is ${box.stated}`;
    },
  ),
];

/** Why the outline of an object cannot be used; null if it can, or where outlines are not read. */
export function outlineFault(box: ListedBox): string | null {
  if (box.segmentation?.fault) return box.segmentation.fault;
  const { width, height } = frameOf(box.image);
  if (box.segmentation !== undefined && width * height > mostMaskPixels)
    return `its image is annotated with ${width}×${height} pixels, more than a mask can have`;
  if (maskFit(box) !== "other") return null;
  return `its mask has ${maskSize(box)} pixels and its image has ${width}×${height}`;
}

function maskSize({ segmentation }: ListedBox): string {
  const outline = segmentation?.outline;
  return outline && "mask" in outline ? `${outline.mask.width}×${outline.mask.height}` : "";
}

/** Whether a mask has the size of its image, the same shape at another scale, or another shape. */
export function maskFit({ segmentation, image }: ListedBox): Fit {
  const outline = segmentation?.outline;
  const frame = frameOf(image);
  if (!outline || !("mask" in outline) || frame.width === 0) return "same";
  return fitOf(outline.mask, frame);
}

/** Whether an object has no outline, or one that encloses no pixel of its image, where outlines are read. */
export function lacksOutline(box: ListedBox): boolean {
  if (box.segmentation === undefined || outlineFault(box) !== null) return false;
  const { outline } = box.segmentation;
  const { width, height } = frameOf(box.image);
  if (outline === null || width === 0) return outline === null;
  if ("mask" in outline && maskFit(box) === "scaled") return maskArea(resizeMask(outline.mask, height, width)) === 0;
  return !hasPixel(outline, height, width);
}

/** The objects that training uses, and those of them without an outline. */
function withoutOutline({ images, outlines }: Listing): { objects: number; without: ListedBox[] } {
  if (!outlines) return { objects: 0, without: [] };
  const boxes = images.flatMap((image) => usableBoxes(image).filter(({ crowd }) => !crowd));
  const without = boxes.filter(lacksOutline);
  return { objects: boxes.length, without };
}

function sentence({ split }: Listing, objects: number, without: readonly ListedBox[]): string {
  const stated = without.some(({ segmentation }) => segmentation?.outline !== null);
  const lack = `${agreeing(without.length, "has", "have")} no outline${stated ? ", or one that encloses no pixel" : ""}`;
  return `${without.length} of ${counted(objects, "object")} of the ${split} split ${lack}, such as ${whereIs(without[0])}`;
}
