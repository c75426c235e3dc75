// Multi-scale training: each optimizer step chooses a side length, and all its images are resized to it.
import type { ModelConfig } from "../../model/types.js";
import { PythonRandom } from "./python-random.js";

/**
 * The side lengths in pixels that a variant trains at (`compute_multi_scale_scales` of the Python package): multiples
 * of a block (patch size × windows) from three blocks below the resolution to four above, or five below to five above
 * if expanded, and at least two blocks.
 */
export function trainingScales(
  { resolution, patchSize, numWindows }: Pick<ModelConfig, "resolution" | "patchSize" | "numWindows">,
  { expanded }: { expanded: boolean },
): number[] {
  const block = patchSize * numWindows;
  const base = Math.floor(resolution / block);
  const [from, to] = expanded ? [-5, 5] : [-3, 4];
  const scales: number[] = [];
  for (let offset = from; offset <= to; offset++) if (base + offset >= 2) scales.push((base + offset) * block);
  return scales;
}

/**
 * The side length of one optimizer step. It depends only on the step, so it is the same on every machine and after
 * every resume.
 */
export function scaleOfStep(step: number, scales: readonly number[]): number {
  return new PythonRandom(step).choice(scales);
}
