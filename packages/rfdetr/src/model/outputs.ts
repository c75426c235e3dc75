// The outputs of the detector.
import type { Tensor } from "@rfdetr/torch";

/**
 * The masks of one prediction layer as factors: the mask logit of query n at place (y, x) is
 * Σ_c spatialFeatures[c, y, x] · queryFeatures[n, c] + bias. So a mask is computed only for the queries that need one.
 */
export interface MaskFeatures {
  /** `[B, d, H / maskDownsampleRatio, W / maskDownsampleRatio]` */
  spatialFeatures: Tensor;
  /** `[B, queries, d]` */
  queryFeatures: Tensor;
  /** `[1]` */
  bias: Tensor;
}

/** Logits and boxes of one prediction layer: a decoder layer or the query selection. */
export interface Prediction {
  /** `[B, queries, numClasses + 1]`: class logits, before the sigmoid. */
  predLogits: Tensor;
  /** `[B, queries, 4]`: centre x, centre y, width, height as fractions of the image; not clamped. */
  predBoxes: Tensor;
  /** Models with a segmentation head alone have it. */
  predMasks?: MaskFeatures;
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
  const wide = ({ predLogits, predBoxes, predMasks }: Prediction): Prediction => ({
    predLogits: predLogits.float(),
    predBoxes: predBoxes.float(),
    ...(predMasks && {
      predMasks: {
        spatialFeatures: predMasks.spatialFeatures.float(),
        queryFeatures: predMasks.queryFeatures.float(),
        bias: predMasks.bias.float(),
      },
    }),
  });
  return { ...wide(outputs), auxOutputs: outputs.auxOutputs.map(wide), encOutputs: wide(outputs.encOutputs) };
}
