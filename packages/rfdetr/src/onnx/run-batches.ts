// Images through a model whose batch may be fixed. No import of Node.
import type { ExportedModel } from "./exported-model.js";
import { compareGolden, type GoldenError, goldenPixels, type RawOutputs, worseOf } from "./goldens.js";
import { toPlanes } from "./pixels.js";

/** Runs a model once: `input` is `[B, 3, H, W]`; gives the outputs of all images, one after another. */
export type RunOnce = (
  input: Float32Array<ArrayBuffer>,
  shape: [batch: number, channels: 3, height: number, width: number],
) => Promise<RawOutputs>;

/**
 * Runs images of the model's size.
 * @param images each `[height, width, 3]`: bytes, or float32 on the scale 0 to 1
 * @returns raw outputs of each image
 */
export async function runBatches(
  { batch, preprocessing, resolution }: Pick<ExportedModel, "batch" | "preprocessing" | "resolution">,
  images: readonly (Uint8Array | Float32Array)[],
  run: RunOnce,
): Promise<RawOutputs[]> {
  const together = batch ?? images.length;
  const outputs: RawOutputs[] = [];
  for (let at = 0; at < images.length; at += together) {
    const part = images.slice(at, at + together);
    // A file for a fixed number of images gets the last one again.
    const full = [...part, ...Array.from({ length: together - part.length }, () => part[part.length - 1])];
    const { boxes, logits, masks } = await run(toPlanes(full, preprocessing), [full.length, 3, ...resolution]);
    const partOf = (all: Float32Array, i: number): Float32Array => {
      const each = all.length / full.length;
      return all.subarray(i * each, (i + 1) * each);
    };
    for (let i = 0; i < part.length; i++)
      outputs.push({
        boxes: partOf(boxes, i),
        logits: partOf(logits, i),
        ...(masks && { masks: { ...masks, logits: partOf(masks.logits, i) } }),
      });
  }
  return outputs;
}

/** Runs the goldens that a file carries. @returns how far its results are from them; null if it has none */
export async function runGoldens(model: ExportedModel, run: RunOnce): Promise<GoldenError | null> {
  if (model.goldens === null) return null;
  const { cases, tolerance } = model.goldens;
  const [height, width] = model.resolution;
  let worst: GoldenError | null = null;
  for (const { seed, queries } of cases) {
    const [outputs] = await runBatches(model, [goldenPixels(seed, height, width)], run);
    const error = compareGolden(queries, outputs, tolerance, model.resolution);
    worst = worst === null ? error : worseOf(worst, error);
  }
  return worst;
}
