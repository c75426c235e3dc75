// A dataset in memory: its images with their annotations. Pixels are read later.

import type { Outline } from "../../masks/outline.js";

/** Annotated boxes of one image. */
export interface Regions {
  /** `[n × 4]` left, top, right, bottom in pixels, clipped to the image; none is empty. */
  boxes: Float32Array;
  /** `[n]` class indices 0 … classes − 1. */
  labels: Int32Array;
  /** `[n]` annotated areas in square pixels. */
  areas: Float64Array;
  /** `[n]` outlines of the objects, where the data was opened with them; null for an object that has none. */
  outlines?: (Outline | null)[];
}

/** An image with its objects; crowd regions are separate. */
export interface DatasetImage extends Regions {
  id: number;
  /** Path of the file. */
  file: string;
  /** Pixels, as annotated, in the frame that `orientation` gives. */
  width: number;
  height: number;
  /** EXIF orientation that is applied when the image is decoded, 1 to 8; 1 keeps the stored pixels. */
  orientation: number;
  /** Path of the dataset that it is of, where several are joined. */
  dataset?: string;
  /** Regions of many objects (COCO `iscrowd`): not trained on, and detections inside them do not count as wrong. */
  crowd: Regions;
}

/** Where the images of one of several joined datasets are. */
export interface DatasetPart {
  /** Path of the dataset. */
  path: string;
  /** Share of the images of an epoch, from 0 to 1; null leaves it to the number of images. */
  share: number | null;
  /** Index of its first image, and the index after its last. */
  from: number;
  to: number;
}

/** One split of a dataset. */
export interface Dataset {
  /** `roboflow-coco`, `coco` or `yolo`; `several` for joined datasets. */
  layout: string;
  images: DatasetImage[];
  classNames: string[];
  /** Category id of each class in the annotation file; its index where an id is text. */
  categoryIds: number[];
  /** What was left out or changed while reading, one sentence each. */
  warnings: string[];
  /** The datasets that were joined, in the order of their images; absent for a single one. */
  parts?: DatasetPart[];
}

/** A split of a dataset. */
export type Split = "train" | "valid" | "test";

/** Words for a split in names of folders and files, in lower case. */
export const splitWords: Readonly<Record<Split, readonly string[]>> = {
  train: ["train", "training"],
  valid: ["valid", "val", "validation"],
  test: ["test", "testing"],
};
