// By what objects are compared: their boxes or their masks.
import { boxIou, crowdIou } from "../box-iou.js";
import type { BoxTable } from "./box-table.js";

/** Whether objects are compared by the IoU of their boxes or by that of their masks. */
export type IouType = "boxes" | "masks";

/** The sizes of the objects of an evaluation, and how far they overlap, by the rows of its tables. */
export interface Overlaps {
  /** Area that a ground truth is counted by, in square pixels. */
  readonly truthArea: Float64Array;
  /** Area of each detection, in square pixels. */
  readonly detectionArea: Float64Array;
  /** IoU of a detection with a ground truth of its image. */
  iou(detection: number, truth: number): number;
  /** The share of a detection that lies in a ground truth of its image, as it counts for crowd regions. */
  crowdIou(detection: number, truth: number): number;
}

/** Overlaps of boxes. */
export class BoxOverlaps implements Overlaps {
  constructor(
    readonly truths: BoxTable,
    readonly detections: BoxTable,
  ) {}

  get truthArea(): Float64Array {
    return this.truths.area;
  }

  get detectionArea(): Float64Array {
    return this.detections.area;
  }

  iou(detection: number, truth: number): number {
    return boxIou(this.detections.box, detection * 4, this.truths.box, truth * 4);
  }

  crowdIou(detection: number, truth: number): number {
    return crowdIou(this.detections.box, detection * 4, this.truths.box, truth * 4);
  }
}
