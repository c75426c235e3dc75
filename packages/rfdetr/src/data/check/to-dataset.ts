// A listed split as a dataset: entries at fault are left out, boxes are clipped.
import type { Dataset, DatasetImage, Regions } from "../formats/dataset.js";
import { frameOf, type ListedBox, type ListedClass, type ListedImage, type Listing } from "../formats/listing.js";
import { boxFault } from "./checks.js";

/** The boxes of an image that training uses: of a known class, and not empty. */
export function usableBoxes({ boxes }: ListedImage): ListedBox[] {
  return boxes.filter((box) => box.label >= 0 && boxFault(box) !== "empty");
}

/** The corners of a box in pixels, clipped to its image. */
export function clippedCorners({ box: [x, y, w, h], image }: ListedBox): [number, number, number, number] {
  const { width, height } = frameOf(image);
  return [Math.max(0, x), Math.max(0, y), Math.min(width, x + w), Math.min(height, y + h)];
}

/** The dataset that training and evaluation see. Images whose file is at fault are left out. */
export function toDataset(listing: Listing, classes: readonly ListedClass[], warnings: string[]): Dataset {
  const good = listing.images.filter(({ fault }) => fault === null);
  // Ids that are no numbers become numbers that are free.
  let free = Math.max(0, ...good.map(({ id }) => (typeof id === "number" ? id + 1 : 0)));
  const images = good.map((image): DatasetImage => {
    const usable = usableBoxes(image);
    return {
      id: typeof image.id === "number" ? image.id : free++,
      file: image.file,
      ...frameOf(image),
      orientation: image.orientation,
      ...regions(usable.filter(({ crowd }) => !crowd)),
      crowd: regions(usable.filter(({ crowd }) => crowd)),
    };
  });
  return {
    layout: listing.layout,
    images,
    classNames: classes.map(({ name }) => name),
    categoryIds: classes.map(({ id }, i) => (typeof id === "number" ? id : i)),
    warnings,
  };
}

function regions(boxes: readonly ListedBox[]): Regions {
  const corners = boxes.map(clippedCorners);
  return {
    boxes: Float32Array.from(corners.flat()),
    labels: Int32Array.from(boxes, ({ label }) => label),
    areas: Float64Array.from(boxes, ({ area, box: [, , w, h], entry }, i) => {
      const [left, top, right, bottom] = corners[i];
      // COCO's annotated area; YOLO has none, so that of what is left of the box.
      return area ?? (entry === null ? (right - left) * (bottom - top) : w * h);
    }),
  };
}
