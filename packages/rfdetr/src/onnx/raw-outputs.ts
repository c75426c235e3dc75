// The outputs of an exported file as a runtime gives them. No import of Node.
import type { RawOutputs } from "./goldens.js";

/** A tensor of onnxruntime. */
interface OutputTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
}

/**
 * Reads the outputs of a file by their names: `dets`, `labels`, and `masks` of a model with a segmentation head.
 * @throws Error for another dtype than float32, and if one of the first two is missing
 */
export function rawOutputs(outputs: Readonly<Record<string, unknown>>): RawOutputs {
  const found = outputs as Readonly<Record<string, OutputTensor | undefined>>;
  const floats = (name: string): Float32Array => {
    const data = found[name]?.data;
    if (data instanceof Float32Array) return data;
    const other = data === undefined ? "none" : "another";
    throw new Error(`Expected the output ${name} in float32 but the file has ${other}`);
  };
  const boxes = { boxes: floats("dets"), logits: floats("labels") };
  if (found.masks === undefined) return boxes;
  const [height, width] = found.masks.dims.slice(2);
  return { ...boxes, masks: { logits: floats("masks"), height, width } };
}
