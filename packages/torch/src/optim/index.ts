// AdamW and gradient clipping.
import "../tensor-methods.js";

export { AdamW, type AdamWState, type MovingAverage, OptimizerStateError, type ParameterGroup } from "./adamw.js";
export { clipFactor, clipGradNorm, gradientNorm } from "./clip.js";
