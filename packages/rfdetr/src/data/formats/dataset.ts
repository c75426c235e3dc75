// A dataset in memory: its images with their annotations. Pixels are read later.

/** Annotated boxes of one image. */
export interface Regions {
  /** `[n × 4]` left, top, right, bottom in pixels, clipped to the image; none is empty. */
  boxes: Float32Array;
  /** `[n]` class indices 0 … classes − 1. */
  labels: Int32Array;
  /** `[n]` annotated areas in square pixels. */
  areas: Float64Array;
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
  /** Regions of many objects (COCO `iscrowd`): not trained on, and detections inside them do not count as wrong. */
  crowd: Regions;
}

/** One split of a dataset. */
export interface Dataset {
  /** `roboflow-coco`, `coco` or `yolo`. */
  layout: string;
  images: DatasetImage[];
  classNames: string[];
  /** Category id of each class in the annotation file. */
  categoryIds: number[];
  /** What was left out or changed while reading, one sentence each. */
  warnings: string[];
}

/** A split of a dataset. */
export type Split = "train" | "valid" | "test";

/** Words for a split in names of folders and files, in lower case. */
export const splitWords: Readonly<Record<Split, readonly string[]>> = {
  train: ["train", "training"],
  valid: ["valid", "val", "validation"],
  test: ["test", "testing"],
};
