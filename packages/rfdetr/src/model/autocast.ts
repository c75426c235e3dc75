// Mixed precision as this detector needs it: the places whose rounding would change more than digits stay float32.
import { Autocast, type AutocastOptions, checkOverrides, type Overrides, type Precision } from "@rfdetr/amp";
import type { RFDETRModel } from "./rfdetr.js";

/**
 * Query selection ranks tokens: a rounded logit makes ties, and ties pair proposals with other learned queries. The last norm of the
 * projector is the memory that selection and decoder read. References, sampling locations and boxes are float32 in the code itself;
 * criterion, matcher and post-processing run outside of autocast.
 */
export const modelOverrides: Overrides = {
  "transformer.query_selection": "fp32",
  "backbone.*.projector.stages.*.1": "fp32",
};

/**
 * Autocast with the model's own overrides under the user's.
 * @throws PolicyError when a user's override matches no module of `model`, with near matches
 */
export function modelAutocast(precision: Precision, model: RFDETRModel, options: AutocastOptions = {}): Autocast {
  if (options.overrides !== undefined) {
    model.name("");
    checkOverrides(
      options.overrides,
      [...model.namedModules()].map(([, module]) => module.path),
    );
  }
  return new Autocast(precision, { ...options, overrides: { ...modelOverrides, ...options.overrides } });
}
