// AdamW and gradient clipping.
import "../tensor-methods.js";

export {
  AdamW,
  type AdamWState,
  type MovingAverage,
  OptimizerStateError,
  type ParameterGroup,
  type StepOptions,
} from "./adamw.js";
export { clipFactor, clipGradNorm, gradientNorm } from "./clip.js";
export { dequantize, type MomentFormat, momentBytes, type Quantized, quantize } from "./moments.js";
