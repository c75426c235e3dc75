// The boxes of a split in columns, for statistics and pictures.
import type { DatasetImage } from "./formats/dataset.js";

/** Boxes of objects, one row each; crowd regions are left out. */
export interface BoxColumns {
  /** `[n]` class index. */
  label: Int32Array;
  /** `[n]` centre as a fraction of the image, also `y`. */
  x: Float32Array;
  y: Float32Array;
  /** `[n]` size as a fraction of the image, also `height`. */
  width: Float32Array;
  height: Float32Array;
  /** `[n]` square root of the box's area, in pixels. */
  side: Float32Array;
  /** `[n]` width over height, in pixels. */
  aspect: Float32Array;
}

/** What statistics and pictures need of a split. */
export interface SplitBoxes {
  /** `train`, `valid` or `test`. */
  split: string;
  boxes: BoxColumns;
  /** Images with at least one object of each class. */
  imagesOfClass: Int32Array;
  /** Number of objects of each image. */
  objects: Int32Array;
}

/** Puts the boxes of a split into columns. */
export function splitBoxes(split: string, images: readonly DatasetImage[], classes: number): SplitBoxes {
  const total = images.reduce((sum, { labels }) => sum + labels.length, 0);
  const column = (): Float32Array => new Float32Array(total);
  const boxes: BoxColumns = {
    label: new Int32Array(total),
    x: column(),
    y: column(),
    width: column(),
    height: column(),
    side: column(),
    aspect: column(),
  };
  const imagesOfClass = new Int32Array(classes);
  let row = 0;
  for (const image of images) {
    for (const label of new Set(image.labels)) imagesOfClass[label]++;
    for (let i = 0; i < image.labels.length; i++, row++) {
      const [left, top, right, bottom] = image.boxes.subarray(i * 4, i * 4 + 4);
      boxes.label[row] = image.labels[i];
      boxes.x[row] = (left + right) / 2 / image.width;
      boxes.y[row] = (top + bottom) / 2 / image.height;
      boxes.width[row] = (right - left) / image.width;
      boxes.height[row] = (bottom - top) / image.height;
      boxes.side[row] = Math.sqrt((right - left) * (bottom - top));
      boxes.aspect[row] = (right - left) / (bottom - top);
    }
  }
  return { split, boxes, imagesOfClass, objects: Int32Array.from(images, ({ labels }) => labels.length) };
}
