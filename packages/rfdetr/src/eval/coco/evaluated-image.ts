// What the evaluator receives of an image.
import type { CocoRuns } from "../../masks/coco-runs.js";
import type { Mask } from "../../masks/mask.js";
import type { IntegerList, NumberList } from "./box-table.js";

/** Ground truth of one image. */
export interface GroundTruth {
  /** `[n * 4]` x1, y1, x2, y2 in pixels. */
  boxes: NumberList;
  /** `[n]` class indices, 0 … classes − 1. */
  labels: IntegerList;
  /**
   * `[n]` areas in square pixels, which choose the area range; default width · height. COCO gives the area of the
   * mask here.
   */
  area?: NumberList;
  /** `[n]` 1 for a crowd region: it is never missed, and detections inside it are not counted. */
  crowd?: IntegerList;
  /** `[n]` masks at the size of the image, where masks are evaluated. */
  masks?: readonly Mask[];
}

/** Detections of one image, in any order; of equal scores the earlier counts as better. */
export interface ImageDetections {
  /** `[n * 4]` x1, y1, x2, y2 in pixels. */
  boxes: NumberList;
  /** `[n]`, larger is better. */
  scores: NumberList;
  /** `[n]` class indices; a detection whose class is not among the evaluated ones (a background slot) is left out. */
  labels: IntegerList;
  /** `[n]` masks at the size of the image, where masks are evaluated. */
  masks?: readonly Mask[];
}

/** What is known of an image beside its objects. Figures do not depend on it. */
export interface ImageFacts {
  /** Path of the file. */
  file?: string;
  /** The dataset that it is of, where several were evaluated together. */
  dataset?: string;
  /** In pixels, as the boxes. */
  width?: number;
  height?: number;
  /** Mean brightness, 0 (black) to 1 (white). */
  brightness?: number;
  /** Masks for pictures, where masks are evaluated. */
  shownMasks?: ShownMasks;
}

/** The mask of an object for its picture. */
interface ShownMask {
  /** Class index of the object. */
  label: number;
  /** Absent for a detection that is not among the best. */
  mask?: CocoRuns;
}

/** The masks of an image for its picture, for all objects in their order. */
export interface ShownMasks {
  truths: readonly ShownMask[];
  detections: readonly ShownMask[];
}

/** What the figures need of the mask of a detection. */
export interface ComparedMask {
  /** In pixels. */
  area: number;
  /** The ground truths of the image, of any class, that the mask has pixels in common with. */
  truths: readonly number[];
  /** How many pixels it has in common with each of them. */
  shared: readonly number[];
}

/** What the figures need of the masks of an image. A tenth of the masks' bytes, and what another process is sent. */
export interface ComparedMasks {
  /** Area of the mask of each ground truth, in pixels. */
  truthAreas: readonly number[];
  /** Their `truths` are places among the ground truths of the image. */
  detections: readonly ComparedMask[];
}

/** One image for the evaluator. */
export interface EvaluatedImage extends ImageFacts {
  id: number | string;
  gt: GroundTruth;
  detections: ImageDetections;
  /** What `compareMasks` gives for the image, where its masks are not kept. */
  compared?: ComparedMasks;
}
