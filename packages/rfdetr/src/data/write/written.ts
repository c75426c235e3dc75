// What is written as a dataset: its images with their boxes.
import type { Split } from "../formats/dataset.js";
import type { Entry } from "../formats/entries.js";
import type { ListedClass } from "../formats/listing.js";

/** An object to write. */
export interface WrittenBox {
  /** Index of its class. */
  label: number;
  /** Left, top, width and height in pixels. */
  box: readonly [x: number, y: number, width: number, height: number];
  /** Fields of a COCO annotation to keep beside those that are written here. */
  entry: Entry;
  /** The line of a YOLO label file to write in place of label and box. */
  line?: string;
}

/** An image to write. */
export interface WrittenImage {
  /** Path of the file, which is linked, or copied where links are not possible. */
  file: string;
  /** Name under the folder of the split; made unique where two images have the same. */
  name: string;
  /** Pixels of the frame that the boxes refer to. */
  width: number;
  height: number;
  boxes: readonly WrittenBox[];
  /** Fields of a COCO image to keep. */
  entry: Entry;
}

/** A dataset to write. */
export interface WrittenDataset {
  layout: "coco" | "yolo";
  /** The classes with the ids of their categories in a COCO file. */
  classes: readonly ListedClass[];
  /** The names to write for them. */
  classNames: readonly string[];
  /** `rest` is the annotation file that a split is a copy of, without its lists; null in YOLO datasets. */
  splits: Partial<Record<Split, { images: readonly WrittenImage[]; rest: Entry | null }>>;
  /** What data.yaml keeps beside the keys that are written here. */
  yaml?: string;
}

/** Images with the names that they get in the dataset. */
export type NamedImages = readonly (readonly [name: string, image: WrittenImage])[];
