// What calibration measures of a precision.
import type { Precision } from "../names.js";
import type { ChoiceAgreement } from "./choices.js";
import type { ModuleError } from "./compare-modules.js";

/** How fast something ran beside `32-true`, in rounds in which both took turns. */
export interface MeasuredSpeed {
  /** The time of `32-true` over its own, medians of the rounds. */
  speedup: number;
  /** The same in each round: the least and the largest. Other programs scatter the times of single rounds. */
  speedup_range: [least: number, largest: number];
}

/** What was measured of one precision. Ratios are relative to `32-true` of the same run, errors to float64. */
export interface CalibratedPrecision extends MeasuredSpeed {
  precision: Precision;
  /** The median time of a step. */
  step_seconds: number;
  /** The peak of the bytes of all tensors over the timed steps. */
  peak_tensor_bytes: number;
  /** The peak bytes of this precision over those of `32-true`. */
  memory_ratio: number;
  loss: number;
  /** |loss − exact| / |exact|. */
  loss_error: number;
  /** The cosine between its gradient and the exact one, all parameters taken as one vector. */
  gradient_cosine: number;
  /** The same with the choices of the exact step: what rounding alone does to the gradient. */
  rounding_cosine: number;
  /** How far its choices are those of the exact step; empty where the step makes none. */
  choices: ChoiceAgreement[];
  /** Whether the loss was not finite, or no loss scale down to 1 gave finite gradients. */
  nonfinite: boolean;
  /** The loss scale that gave the first finite gradients. */
  scale: number;
  /** The share of the gradient values, 0 to 1, that the precision rounds to zero at this scale. */
  underflow_share: number;
  /** The modules with the largest errors, as `worstModules` takes them; empty for `32-true`. */
  modules: ModuleError[];
}
