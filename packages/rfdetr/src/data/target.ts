// The ground truth that training compares with.

import type { Mask } from "../masks/mask.js";

/** True boxes of one image. */
export interface Target {
  /** Class indices. */
  labels: Int32Array;
  /** `[n × 4]`: centre x, centre y, width, height as fractions of the image. */
  boxes: Float32Array;
  /** `[n]`: the pixels of each object in the image that the model sees; data with masks alone has them. */
  masks?: Mask[];
  imageId: number;
}
