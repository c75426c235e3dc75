// The input of an evaluation.
import type { GroundTruth } from "./coco/evaluated-image.js";

/** Images at the model's size, with their ground truth in pixels of the original images. */
export interface EvaluationBatch {
  /** Its place among the batches of the split, where the loader tells. */
  number?: number;
  /** `[B, height, width, 3]`: bytes, or float32 on the scale 0 to 1. */
  images: Uint8Array | Float32Array;
  height: number;
  width: number;
  imageIds: (number | string)[];
  /** Path of each image. */
  files?: string[];
  /** The dataset that each image is of, where several are joined. */
  datasets?: (string | undefined)[];
  /** Height and width of each original image. */
  origSizes: (readonly [height: number, width: number])[];
  /** Raw annotations of each image, in pixels of the original. */
  truths: GroundTruth[];
}
