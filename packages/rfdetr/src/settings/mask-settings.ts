// The settings of a training run that are about masks, and the check that the model predicts some.
import { resolveModel, variants } from "../model/variants.js";
import { ConfigError } from "../support/errors.js";
import { camelCase } from "../support/names.js";
import { count, rate, type Setting } from "./setting.js";

export const maskSettings = {
  mask_downsample_ratio: {
    type: count.nullable(),
    most: 64,
    fallback: null,
    about:
      "pixels of the image along each side of a pixel of the predicted masks, for a model with a segmentation head; null takes the variant's",
  },
  mask_point_sample_ratio: {
    type: count,
    most: 1024,
    fallback: 16,
    about: "pixels of a predicted mask for each point at which matching and loss compare it",
    differs:
      "in evaluation all masks are compared at the same evenly spread points, so that the validation loss does not depend on chance",
  },
  mask_ce_loss_coef: {
    type: rate,
    fallback: 5,
    about: "weight of the binary cross-entropy of masks, in the loss and in matching",
  },
  mask_dice_loss_coef: {
    type: rate,
    fallback: 5,
    about: "weight of the Dice loss of masks, in the loss and in matching",
  },
} as const satisfies Record<string, Setting>;

/**
 * Checks that settings of masks are for a model that predicts masks. Those that leave everything as it is pass for any
 * model, because saved configs contain every setting.
 * @throws ConfigError
 */
export function checkMasks(model: string, resolved: Readonly<Record<string, unknown>>): void {
  for (const [name, { fallback }] of Object.entries(maskSettings)) {
    const value = resolved[camelCase(name)];
    if (value === fallback) continue;
    const { segmentationHead, maskDownsampleRatio } = resolveModel(model);
    if (segmentationHead || (name === "mask_downsample_ratio" && value === maskDownsampleRatio)) continue;
    const others = variants.filter((other) => resolveModel(other).segmentationHead);
    throw new ConfigError(
      `Expected a model with a segmentation head for ${name} = ${value} but received ${model}: leave it out, or take one of ${others.join(", ")}`,
    );
  }
}
