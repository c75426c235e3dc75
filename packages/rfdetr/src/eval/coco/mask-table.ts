// What matching needs of the masks of many images, in columns beside those of their boxes.
import type { ComparedMask } from "./evaluated-image.js";

const FIRST_CAPACITY = 1024;

/** Masks of the rows of two `BoxTable`s, in the order added. */
export class MaskTable {
  readonly #truthArea = new Column();
  readonly #detectionArea = new Column();
  readonly #overlaps = new Column();
  /** Where the overlaps of each detection begin. */
  readonly #starts = new Column();

  /** Area of the object that a ground truth is counted by, in square pixels. */
  get truthArea(): Float64Array {
    return this.#truthArea.values;
  }

  /** Pixels of the mask of each detection. */
  get detectionArea(): Float64Array {
    return this.#detectionArea.values;
  }

  addTruth(area: number): void {
    this.#truthArea.push(area);
  }

  addDetection({ area, overlaps }: ComparedMask): void {
    this.#detectionArea.push(area);
    this.#starts.push(this.#overlaps.length);
    for (const overlap of overlaps) this.#overlaps.push(overlap);
  }

  /**
   * IoU of a detection with a ground truth of its image and class.
   * @param row of the detection
   * @param place of the ground truth among those of the image and class
   */
  overlap(row: number, place: number): number {
    return this.#overlaps.values[this.#starts.values[row] + place];
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
