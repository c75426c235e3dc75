// Boxes and the frame that they refer to: the annotated size of their image.
import { decodedSize, frameOf, type ListedBox, type ListedImage } from "../formats/listing.js";
import type { Size } from "../images/image-header.js";

/** Where a box is annotated, for messages. */
export const whereIs = ({ id, file, image, entry }: ListedBox): string =>
  entry === null ? `line ${id} of ${file}` : `annotation ${id ?? "without an id"} in ${image.name}`;

/**
 * What is wrong with a box, or null. Up to half a pixel outside the image is taken for a rounding error. Boxes of an
 * image whose size is not known are not judged.
 */
export function boxFault({ box: [x, y, w, h], image }: ListedBox): "empty" | "outside" | null {
  const { width, height } = frameOf(image);
  if (width === 0) return null;
  if (w <= 0 || h <= 0 || x >= width || y >= height || x + w <= 0 || y + h <= 0) return "empty";
  return x < -0.5 || y < -0.5 || x + w > width + 0.5 || y + h > height + 0.5 ? "outside" : null;
}

/** The boxes of an image that training uses: of a known class, and not empty. */
export function usableBoxes({ boxes }: ListedImage): ListedBox[] {
  return boxes.filter((box) => box.label >= 0 && boxFault(box) !== "empty");
}

/** The corners of a box in pixels, clipped to its image. */
export function clippedCorners({ box: [x, y, w, h], image }: ListedBox): [number, number, number, number] {
  const { width, height } = frameOf(image);
  return [Math.max(0, x), Math.max(0, y), Math.min(width, x + w), Math.min(height, y + h)];
}

/** How one size fits another: the same, the same shape at another scale, or another shape. */
export type Fit = "same" | "scaled" | "other";

/** Whether the file has the annotated size, the same at another scale, or another shape. */
export function shapeOf({ size, header, orientation }: ListedImage): Fit {
  return size === null || header === null ? "same" : fitOf(size, decodedSize(header, orientation));
}

/** How a size fits that of a picture. */
export function fitOf(size: Size, { width, height }: Size): Fit {
  if (size.width === width && size.height === height) return "same";
  const tolerance = 0.02 * Math.max(width, height) + 1;
  const scale = Math.max(size.width / width, size.height / height);
  const near = (a: number, b: number): boolean => Math.abs(a / scale - b) <= tolerance;
  return near(size.width, width) && near(size.height, height) ? "scaled" : "other";
}
