// What matching needs of the masks of many images, in columns beside those of their boxes.
import type { ComparedMask } from "./evaluated-image.js";
import type { Overlaps } from "./overlaps.js";

const FIRST_CAPACITY = 1024;

/** The mask of a ground truth. */
export interface TruthMask {
  /** The area that it is counted by, in square pixels: COCO files state one. */
  area: number;
  /** Number of its pixels. */
  pixels: number;
}

/** Masks of the rows of two `BoxTable`s, in the order added, and their overlaps. */
export class MaskTable implements Overlaps {
  readonly #truthArea = new Column();
  readonly #truthPixels = new Column();
  readonly #detectionArea = new Column();
  /** The detections one after the other: rows of the ground truths that each meets, and the pixels they share. */
  readonly #truths = new Column();
  readonly #shared = new Column();
  /** Where those of each detection begin. */
  readonly #starts = new Column();

  get truthArea(): Float64Array {
    return this.#truthArea.values;
  }

  get detectionArea(): Float64Array {
    return this.#detectionArea.values;
  }

  addTruth({ area, pixels }: TruthMask): void {
    this.#truthArea.push(area);
    this.#truthPixels.push(pixels);
  }

  /** @param mask its `truths` are rows of this table */
  addDetection({ area, truths, shared }: ComparedMask): void {
    this.#detectionArea.push(area);
    this.#starts.push(this.#truths.length);
    for (const truth of truths) this.#truths.push(truth);
    for (const pixels of shared) this.#shared.push(pixels);
  }

  iou(detection: number, truth: number): number {
    const shared = this.#sharedPixels(detection, truth);
    const either = this.#detectionArea.values[detection] + this.#truthPixels.values[truth] - shared;
    return shared === 0 ? 0 : shared / either;
  }

  crowdIou(detection: number, truth: number): number {
    const shared = this.#sharedPixels(detection, truth);
    return shared === 0 ? 0 : shared / this.#detectionArea.values[detection];
  }

  #sharedPixels(detection: number, truth: number): number {
    const truths = this.#truths;
    const end = detection + 1 < this.#starts.length ? this.#starts.values[detection + 1] : truths.length;
    for (let at = this.#starts.values[detection]; at < end; at++)
      if (truths.values[at] === truth) return this.#shared.values[at];
    return 0;
  }
}

/** Numbers that grow in number. */
class Column {
  length = 0;
  values = new Float64Array(FIRST_CAPACITY);

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(this.length * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }
}
