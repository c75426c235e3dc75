// Mixed precision of the detector: its own exceptions to the autocast policy.
import {
  Autocast,
  type AutocastOptions,
  checkOverrides,
  type Overrides,
  type Precision,
  pathPattern,
} from "@rfdetr/amp";
import type { RFDETRModel } from "../rfdetr.js";

/**
 * Modules that mixed precision treats in their own way:
 * - Query selection ranks tokens by their logits. Rounded logits tie, and a tie can pair a proposal with the wrong
 *   learned query. So its matrix products have float32 results and keep 16 significant bits of each factor (TF32 keeps
 *   11).
 * - The last norm of the projector stays float32. Its output is the memory that query selection and decoder read.
 * - The depthwise convolutions of the segmentation head stay float32. They multiply no matrices, so matrix units gain
 *   nothing, and libtorch's CPU kernel for bfloat16 takes 60 times as long.
 *
 * Reference boxes, sampling locations and predicted boxes are float32 in every precision. The criterion, the matcher
 * and post-processing run outside autocast.
 */
export const modelOverrides: Overrides = {
  "transformer.query_selection": "bf16x3",
  "backbone.*.projector.stages.*.1": "fp32",
  "segmentation_head.blocks.*.dwconv": "fp32",
};

/** Options of {@link modelAutocast}: the precision, and the user's own policy and overrides. */
export interface ModelAutocastOptions extends AutocastOptions {
  /** `32-true`, `tf32`, `bf16-mixed` or `16-mixed`. */
  precision: Precision;
}

/**
 * Makes an autocast for a detector, with those of {@link modelOverrides} that match a module of it. A user's override
 * for the same pattern replaces the model's.
 * @param model the detector; its modules get their paths
 * @param options precision, policy and overrides
 * @throws PolicyError if a user's override matches no module of `model`; the message lists similar paths
 * @example
 * import { noGrad, randn } from "@rfdetr/torch";
 * import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";
 * const model = new RFDETRModel(resolveModel("nano"));
 * const autocast = modelAutocast(model, { precision: "bf16-mixed", overrides: { bbox_embed: "fp32" } });
 * const outputs = noGrad(() => autocast.run(() => model.call(randn([1, 3, 384, 384]))));
 */
export function modelAutocast(model: RFDETRModel, options: ModelAutocastOptions): Autocast {
  const { precision, overrides = {}, ...others } = options;
  model.name("");
  const paths = [...model.namedModules()].map(([, module]) => module.path);
  checkOverrides(overrides, paths);
  const own = Object.entries(modelOverrides).filter(([pattern]) =>
    paths.some((path) => pathPattern(pattern).test(path)),
  );
  return new Autocast(precision, { ...others, overrides: { ...Object.fromEntries(own), ...overrides } });
}
