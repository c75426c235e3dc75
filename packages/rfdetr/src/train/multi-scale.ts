// Multi-scale training: every optimizer step picks one side length, and the whole batch is resized to it.
import { PythonRandom } from "./python-random.js";

/**
 * The side lengths a variant trains at (`compute_multi_scale_scales` of the Python package): whole numbers of blocks
 * (patch size × windows) around the resolution, three below to four above it, or five either way when expanded; never fewer than two blocks.
 */
export function trainingScales(resolution: number, patchSize: number, numWindows: number, expanded: boolean): number[] {
  const block = patchSize * numWindows;
  const base = Math.floor(resolution / block);
  const [from, to] = expanded ? [-5, 5] : [-3, 4];
  const scales: number[] = [];
  for (let offset = from; offset <= to; offset++) if (base + offset >= 2) scales.push((base + offset) * block);
  return scales;
}

/** The side length of one optimizer step: the same for every micro-batch of the step, on every machine and after every resume. */
export function scaleOfStep(step: number, scales: readonly number[]): number {
  return new PythonRandom(step).choice(scales);
}
