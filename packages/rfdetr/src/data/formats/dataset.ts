// A dataset in memory: which images there are, and what is on them. Pixels are read later.

export interface DatasetImage {
  id: number;
  /** Path of the file. */
  file: string;
  /** Pixels, as the annotations know them. */
  width: number;
  height: number;
  /** `[n × 4]` left, top, right, bottom in pixels, clipped to the image, none empty. Crowd regions are not among them. */
  boxes: Float32Array;
  /** `[n]` class indices 0 … classes − 1. */
  labels: Int32Array;
  /** `[n]` annotated areas in square pixels. */
  areas: Float64Array;
  /** Regions of many objects (COCO `iscrowd`): never trained on, and detections inside them are not counted as wrong. */
  crowd: { boxes: Float32Array; labels: Int32Array; areas: Float64Array };
}

export interface Dataset {
  /** How it was laid out: `roboflow-coco`, `coco` or `yolo`. */
  layout: string;
  images: DatasetImage[];
  classNames: string[];
  /** Category id of each class in the annotation file. */
  categoryIds: number[];
  /** Things that were left out or changed while reading, one sentence each. */
  warnings: string[];
}

export type Split = "train" | "valid" | "test";
