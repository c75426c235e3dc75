// Mixed precision as this detector needs it: the places whose rounding would change more than digits stay float32.
import {
  Autocast,
  type AutocastOptions,
  checkOverrides,
  defaultPolicy,
  type Overrides,
  type Policy,
  type Precision,
  withOperators,
} from "@rfdetr/amp";
import type { RFDETRModel } from "./rfdetr.js";

/**
 * Query selection ranks tokens: a rounded logit makes ties, and ties pair proposals with other learned queries. Its
 * products have float32 results and sixteen bits of each factor, more than TF32 on a GPU has. The last norm of the
 * projector is the memory that selection and decoder read. References, sampling locations and boxes are float32 in the
 * code itself; criterion, matcher and post-processing run outside of autocast.
 */
export const modelOverrides: Overrides = {
  "transformer.query_selection": "bf16x3",
  "backbone.*.projector.stages.*.1": "fp32",
};

/** Precision of a model, with the user's policy and overrides. */
export interface ModelAutocastOptions extends AutocastOptions {
  precision: Precision;
}

/**
 * Autocast with the model's own overrides under the user's.
 * @throws PolicyError when a user's override matches no module of `model`, with near matches
 * @example
 * import { noGrad, randn } from "@rfdetr/torch";
 * import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";
 * const model = new RFDETRModel(resolveModel("nano"));
 * const autocast = modelAutocast(model, { precision: "bf16-mixed", overrides: { bbox_embed: "fp32" } });
 * const outputs = noGrad(() => autocast.run(() => model.call(randn([1, 3, 384, 384]))));
 */
export function modelAutocast(model: RFDETRModel, options: ModelAutocastOptions): Autocast {
  const { precision, overrides, ...others } = options;
  if (overrides !== undefined) {
    model.name("");
    checkOverrides(
      overrides,
      [...model.namedModules()].map(([, module]) => module.path),
    );
  }
  return new Autocast(precision, { ...others, overrides: { ...modelOverrides, ...overrides } });
}

/**
 * Evaluation as `fp16_eval` once meant it, without its harm: autocast to float16, norms in float32, and no weight is
 * converted.
 */
export function fp16EvalAutocast(model: RFDETRModel, overrides: Overrides = {}): Autocast {
  const policy = withOperators(defaultPolicy, { layer_norm: "fp32", native_layer_norm: "fp32", group_norm: "fp32" });
  return modelAutocast(model, { precision: "16-mixed", policy, overrides });
}

/** Nothing is raised: products are lowered, everything else computes in the dtype it is given. */
const convertedPolicy: Policy = {
  name: "converted model",
  rows: new Map([...defaultPolicy.rows].filter(([, { rule }]) => rule === "lower" || rule === "widest")),
};

/**
 * For a model whose weights are all float16: every operator computes in float16, norms, exponentials, selection and
 * boxes included. Products are emulated where the CPU has no units for them; nothing else is cast.
 */
export function convertedAutocast(): Autocast {
  return new Autocast("16-mixed", { policy: convertedPolicy });
}
