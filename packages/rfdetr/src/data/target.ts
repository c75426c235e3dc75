// The ground truth that training compares with.

/** True boxes of one image. */
export interface Target {
  /** Class indices. */
  labels: Int32Array;
  /** `[n × 4]`: centre x, centre y, width, height as fractions of the image. */
  boxes: Float32Array;
  imageId: number;
}
