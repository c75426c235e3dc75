// The labels of a YOLO image as COCO annotations, in pixels.

import { largestOf, smallestOf } from "../../support/lists.js";
import { frameOf } from "../formats/listing.js";
import type { WrittenBox } from "../write/write-dataset.js";
import type { ConvertImage } from "./losses.js";

export const toCoco: ConvertImage = (image, losses) => {
  const { width, height } = frameOf(image);
  const boxes = image.boxes.flatMap(({ label, box, stated }): WrittenBox[] => {
    if (label < 0) {
      losses.add("labels are left out: their class is not in the train split");
      return [];
    }
    const numbers = stated.split(/\s+/).slice(1).map(Number);
    const polygon = numbers.length >= 6 && numbers.length % 2 === 0 && isAround(numbers, box, width, height);
    if (numbers.length > 4 && !polygon) losses.add("labels have key points, which are left out");
    const outline = numbers.map((number, i) => number * (i % 2 === 0 ? width : height));
    return [{ label, box, entry: polygon ? { segmentation: [outline] } : {} }];
  });
  return { width, height, boxes };
};

/** Whether the points of a line are those that its box was made of; those behind a box are key points. */
function isAround(
  numbers: readonly number[],
  [left, top, w, h]: readonly number[],
  width: number,
  height: number,
): boolean {
  const xs = numbers.filter((_, i) => i % 2 === 0).map((x) => x * width);
  const ys = numbers.filter((_, i) => i % 2 === 1).map((y) => y * height);
  const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-3;
  return (
    near(smallestOf(xs), left) &&
    near(smallestOf(ys), top) &&
    near(largestOf(xs), left + w) &&
    near(largestOf(ys), top + h)
  );
}
