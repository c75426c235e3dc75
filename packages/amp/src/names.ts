// `@rfdetr/amp/names`: what precisions, policies and rules are called. It does not load libtorch.
export { type NumberFormatName, numberFormatNames, numberFormats } from "./formats/number-format.js";

/** The names of all precisions. */
export const precisions = ["32-true", "tf32", "bf16-mixed", "16-mixed"] as const;

/**
 * The precision of training.
 *
 * - `32-true`: everything in float32.
 * - `tf32`: the same, except that an NVIDIA GPU of compute capability 8.0 or above rounds the operands of products and
 *   convolutions to TF32: the range of float32, ten bits after the point.
 * - `bf16-mixed`: matrix products in bfloat16; weights, gradients, optimizer and sensitive operators in float32.
 * - `16-mixed`: the same with float16, and with loss scaling, because float16 holds magnitudes from 6e-8 to 65504 only.
 */
export type Precision = (typeof precisions)[number];

/** The low precision of each precision: the dtype of its matrix products; null where nothing is cast. */
export const lowPrecisionOf: Readonly<Record<Precision, "bfloat16" | "float16" | null>> = {
  "32-true": null,
  tf32: null,
  "bf16-mixed": "bfloat16",
  "16-mixed": "float16",
};

/** The names of all policies. */
export const policyNames = ["default", "pytorch-cuda"] as const;

/** The names of all cast rules. */
export const castRules = ["lower", "fp32", "widest", "keep"] as const;

/**
 * What happens to the floating-point arguments of an operator. Float64 is never cast.
 * - `lower`: they are cast to the low precision, bfloat16 or float16.
 * - `fp32`: they are cast to float32.
 * - `widest`: they are cast to the widest dtype among them.
 * - `keep`: none is cast; libtorch's type promotion decides.
 */
export type CastRule = (typeof castRules)[number];

/** The names of all module rules. */
export const moduleRules = [...castRules, "bf16", "bf16x3", "policy"] as const;

/**
 * The rule of a whole module.
 * - A {@link CastRule} holds for every operator in the module.
 * - `bf16`: the policy with bfloat16 as the low precision, for modules that leave the range of float16.
 * - `bf16x3`: `fp32`, but grouped linear layers sum three bfloat16 products where the CPU has units for them. The
 *   products keep sixteen bits of each factor.
 * - `policy`: no exception; for a module inside another one that has a rule.
 */
export type ModuleRule = (typeof moduleRules)[number];
