// Automatic mixed precision for any module of @rfdetr/torch.
export { Autocast, activeAutocast, type AutocastOptions, lowered, withoutAutocast } from "./autocast.js";
export { type BadGradient, badGradients } from "./finite.js";
export { GradScaler, GradScalerError, type ScalerOptions, type ScalerState } from "./grad-scaler.js";
export { type Hardware, readHardware } from "./hardware.js";
export { type CastRule, checkOverrides, cudaPolicy, defaultPolicy, type Overrides, pathPattern, policies, type Policy, PolicyError, withOperators } from "./policy.js";
export { autoTable, type Precision, PrecisionError, type PrecisionRequest, precisions, type ResolvedPrecision, resolvePrecision } from "./precision.js";
