// The outputs of the detector.
import type { Tensor } from "@rfdetr/torch";

/** Logits and boxes of one prediction layer: a decoder layer or the query selection. */
export interface Prediction {
  /** `[B, queries, numClasses + 1]`: class logits, before the sigmoid. */
  predLogits: Tensor;
  /** `[B, queries, 4]`: centre x, centre y, width, height as fractions of the image; not clamped. */
  predBoxes: Tensor;
}

/**
 * What a forward pass returns: the prediction of the last decoder layer, and the predictions that only the training
 * loss uses. In training mode there are numQueries · groupDetr queries, ordered by group; in evaluation mode
 * numQueries.
 */
export interface Outputs extends Prediction {
  /** Predictions of the decoder layers before the last, in order. */
  auxOutputs: Prediction[];
  /** Prediction of the two-stage query selection: min(numQueries, tokens) proposals for each group. */
  encOutputs: Prediction;
}

/**
 * Converts all outputs to float32, the dtype in which the criterion and post-processing compute.
 * @param outputs what the model returned
 * @returns the converted outputs, which gradients pass through
 * @example
 * import { inFloat32 } from "rfdetr/model";
 * const { predLogits, predBoxes } = inFloat32(outputs);
 */
export function inFloat32(outputs: Outputs): Outputs {
  const wide = ({ predLogits, predBoxes }: Prediction): Prediction => ({
    predLogits: predLogits.float(),
    predBoxes: predBoxes.float(),
  });
  return { ...wide(outputs), auxOutputs: outputs.auxOutputs.map(wide), encOutputs: wide(outputs.encOutputs) };
}
