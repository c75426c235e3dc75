// Multi-scale training: each optimizer step chooses a size, and all its images are resized to it.

import type { ModelConfig } from "../../model/types.js";
import { type Shape, shapeOf, sidesOf } from "../../support/shape.js";
import { PythonRandom } from "./python-random.js";

type Scaled = Pick<ModelConfig, "resolution" | "patchSize" | "numWindows">;

/**
 * The sizes in pixels that a variant trains at, the smallest first (`compute_multi_scale_scales` of the Python
 * package): multiples of a block (patch size × windows) from three blocks below the resolution to four above, or five
 * below to five above if expanded, and at least two blocks. Of a rectangle that is the shorter side; the longer one
 * follows it.
 */
export function trainingScales(config: Scaled & { resolution: number }, options: { expanded: boolean }): number[];
export function trainingScales(config: Scaled, options: { expanded: boolean }): Shape[];
export function trainingScales(
  { resolution, patchSize, numWindows }: Scaled,
  { expanded }: { expanded: boolean },
): Shape[] {
  const block = patchSize * numWindows;
  const [height, width] = sidesOf(resolution).map((side) => Math.floor(side / block));
  const base = Math.min(height, width);
  const [from, to] = expanded ? [-5, 5] : [-3, 4];
  const scales: Shape[] = [];
  for (let offset = from; offset <= to; offset++) {
    if (base + offset < 2) continue;
    const scaled = (blocks: number): number => Math.round((blocks * (base + offset)) / base) * block;
    scales.push(shapeOf(scaled(height), scaled(width)));
  }
  return scales;
}

/**
 * The size of one optimizer step. It depends only on the step, so it is the same on every machine and after
 * every resume.
 */
export function scaleOfStep<Size extends Shape>(step: number, scales: readonly Size[]): Size {
  return new PythonRandom(step).choice(scales);
}
