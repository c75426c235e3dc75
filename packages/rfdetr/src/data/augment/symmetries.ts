// The eight symmetries of the square, composed of two flips and a transpose.
import { transposeMask } from "../../masks/gather-mask.js";
import { changedMasks, flipHorizontally, flipVertically, type Sample } from "../images/geometry.js";

/** Swaps rows and columns. */
export function transpose(sample: Sample): Sample {
  const { width, height } = sample;
  const data = new Uint8Array(sample.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      const to = (x * height + y) * 3;
      data[to] = sample.data[from];
      data[to + 1] = sample.data[from + 1];
      data[to + 2] = sample.data[from + 2];
    }
  // (left, top, right, bottom) to (top, left, bottom, right): neighbours swap.
  const boxes = Float32Array.from(sample.boxes, (_, i) => sample.boxes[i ^ 1]);
  return { ...sample, ...changedMasks(sample, transposeMask), data, width: height, height: width, boxes };
}

/** Rotates counter-clockwise by 0 to 3 quarter turns. */
export function quarterTurns(sample: Sample, turns: number): Sample {
  if (turns === 0) return sample;
  if (turns === 2) return flipVertically(flipHorizontally(sample));
  return turns === 1 ? flipVertically(transpose(sample)) : flipHorizontally(transpose(sample));
}

/** Symmetry 0 to 7: quarter turns, and from 4 on a horizontal flip after them. */
export function symmetry(sample: Sample, which: number): Sample {
  const turned = quarterTurns(sample, which % 4);
  return which < 4 ? turned : flipHorizontally(turned);
}
