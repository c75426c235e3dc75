// A listed split as a dataset: entries at fault are left out, boxes are clipped.

import type { Outline } from "../../masks/outline.js";
import { resizeMask } from "../../masks/segments.js";
import { largestOf } from "../../support/lists.js";
import type { Dataset, DatasetImage, Regions } from "../formats/dataset.js";
import { frameOf, type ListedBox, type ListedClass, type Listing } from "../formats/listing.js";
import { clippedCorners, usableBoxes } from "./box-frame.js";
import { lacksOutline, maskFit } from "./outline-checks.js";

/** The dataset that training and evaluation see. Images whose file is at fault are left out. */
export function toDataset(listing: Listing, classes: readonly ListedClass[], warnings: string[]): Dataset {
  const good = listing.images.filter(({ fault }) => fault === null);
  // Ids that are no numbers become numbers that are free.
  let free = largestOf(
    good.map(({ id }) => (typeof id === "number" ? id + 1 : 0)),
    0,
  );
  const images = good.map((image): DatasetImage => {
    const usable = usableBoxes(image);
    return {
      id: typeof image.id === "number" ? image.id : free++,
      file: image.file,
      ...frameOf(image),
      orientation: image.orientation,
      ...regions(
        usable.filter(({ crowd }) => !crowd),
        listing,
      ),
      crowd: regions(
        usable.filter(({ crowd }) => crowd),
        listing,
      ),
    };
  });
  const isNumbered = classes.every(({ id }) => typeof id === "number");
  return {
    layout: listing.layout,
    images,
    classNames: classes.map(({ name }) => name),
    categoryIds: classes.map(({ id }, i) => (isNumbered ? (id as number) : i)),
    warnings,
  };
}

function regions(boxes: readonly ListedBox[], { outlines }: Listing): Regions {
  const corners = boxes.map(clippedCorners);
  return {
    boxes: Float32Array.from(corners.flat()),
    labels: Int32Array.from(boxes, ({ label }) => label),
    areas: Float64Array.from(boxes, ({ area, box: [, , w, h], entry }, i) => {
      const [left, top, right, bottom] = corners[i];
      // COCO's annotated area; YOLO has none, so that of what is left of the box.
      return area ?? (entry === null ? (right - left) * (bottom - top) : w * h);
    }),
    ...(outlines ? { outlines: boxes.map(outlineInFrame) } : {}),
  };
}

/** The outline of an object in the frame of its image, null where it lacks one; a mask of another scale is resized. */
function outlineInFrame(box: ListedBox): Outline | null {
  const outline = lacksOutline(box) ? null : (box.segmentation?.outline ?? null);
  const { width, height } = frameOf(box.image);
  if (outline === null || !("mask" in outline) || maskFit(box) === "same") return outline;
  return maskFit(box) === "other" ? null : { mask: resizeMask(outline.mask, height, width) };
}
