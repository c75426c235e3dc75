export { AdamW, type AdamWState, type ParameterGroup } from "./adamw.js";
export { clipGradNorm, gradientNorm } from "./clip.js";
