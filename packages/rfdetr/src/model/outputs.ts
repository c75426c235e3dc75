// What a forward returns.
import type { Tensor } from "@rfdetr/torch";

/** Logits and boxes of one decoder layer. */
export interface Prediction {
  /** `[batch, queries, classes + 1]`, before the sigmoid. */
  predLogits: Tensor;
  /** `[batch, queries, 4]`: centre x, centre y, width, height as fractions of the image; not clamped. */
  predBoxes: Tensor;
}

/** What a training forward returns: the last layer's prediction, and those that are only trained on. */
export interface Outputs extends Prediction {
  /** Of every decoder layer but the last. */
  auxOutputs: Prediction[];
  /** Of the two-stage query selection. */
  encOutputs: Prediction;
}

/** The outputs in float32, which is what criterion and post-processing compute in. */
export function inFloat32(outputs: Outputs): Outputs {
  const wide = ({ predLogits, predBoxes }: Prediction): Prediction => ({
    predLogits: predLogits.float(),
    predBoxes: predBoxes.float(),
  });
  return { ...wide(outputs), auxOutputs: outputs.auxOutputs.map(wide), encOutputs: wide(outputs.encOutputs) };
}
