// Boxes of many images in columns, and the checks of their values.
import { EvaluationError } from "../../support/errors.js";

/** Numbers of one image as callers have them. */
export type NumberList = Float32Array | Float64Array | readonly number[];
export type IntegerList = Int32Array | Uint8Array | Uint32Array | readonly number[];

/** One box of a {@link BoxTable}. */
export interface BoxRow {
  /** Index of the image in the order of addition. */
  image: number;
  /** Class index. */
  label: number;
  /** x, y, width, height in pixels. */
  box: readonly number[];
  /** In square pixels. */
  area: number;
  /** Of a detection; default 0. */
  score?: number;
  /** Whether a ground truth is a crowd region; default false. */
  crowd?: boolean;
}

const FIRST_CAPACITY = 1024;

/**
 * Boxes of many images as columns: one row a box, in the order added. Ground truth uses `area` and `crowd`, detections
 * use `score`. Boxes are x, y, width, height in pixels, float64.
 */
export class BoxTable {
  length = 0;
  /** Index of the image in the order of addition. */
  image = new Int32Array(FIRST_CAPACITY);
  /** Class index. */
  label = new Int32Array(FIRST_CAPACITY);
  /** `[length * 4]` x, y, width, height. */
  box = new Float64Array(FIRST_CAPACITY * 4);
  /** Area in square pixels. */
  area = new Float64Array(FIRST_CAPACITY);
  /** Detections: the score. Ground truth: 0. */
  score = new Float64Array(FIRST_CAPACITY);
  /** Ground truth: 1 for a crowd region. Detections: 0. */
  crowd = new Uint8Array(FIRST_CAPACITY);

  push({ image, label, box, area, score = 0, crowd = false }: BoxRow): void {
    if (this.length === this.image.length) this.#grow();
    const row = this.length++;
    this.image[row] = image;
    this.label[row] = label;
    for (let i = 0; i < 4; i++) this.box[row * 4 + i] = box[i];
    this.area[row] = area;
    this.score[row] = score;
    this.crowd[row] = crowd ? 1 : 0;
  }

  #grow(): void {
    const capacity = this.image.length * 2;
    const larger = <T extends Int32Array | Float64Array | Uint8Array>(column: T, to: T): T => {
      to.set(column);
      return to;
    };
    this.image = larger(this.image, new Int32Array(capacity));
    this.label = larger(this.label, new Int32Array(capacity));
    this.box = larger(this.box, new Float64Array(capacity * 4));
    this.area = larger(this.area, new Float64Array(capacity));
    this.score = larger(this.score, new Float64Array(capacity));
    this.crowd = larger(this.crowd, new Uint8Array(capacity));
  }
}

/** Checks that `name` holds `expected` entries. */
export function checkLength(
  values: ArrayLike<number> | undefined,
  expected: number,
  name: string,
  image: number | string,
): void {
  if (values !== undefined && values.length !== expected) {
    throw new EvaluationError(
      "ERR_EVAL_ARGUMENT",
      `Expected ${expected} entries for ${name} of image ${image} but received ${values.length}`,
    );
  }
}

/** Checks that the four coordinates at `row` are finite. */
export function checkBox(boxes: ArrayLike<number>, row: number, name: string, image: number | string): void {
  const sum = boxes[row * 4] + boxes[row * 4 + 1] + boxes[row * 4 + 2] + boxes[row * 4 + 3];
  if (!Number.isFinite(sum)) {
    const box = Array.from({ length: 4 }, (_, k) => boxes[row * 4 + k]);
    throw new EvaluationError(
      "ERR_EVAL_ARGUMENT",
      `Expected finite coordinates for ${name} ${row} of image ${image} but received [${box.join(", ")}]`,
    );
  }
}
