// Automatic mixed precision for any module of @rfdetr/torch.
export { Autocast, activeAutocast, type AutocastOptions, lowered, withoutAutocast } from "./autocast.js";
export { type BadGradient, badGradients } from "./finite.js";
export { GradScaler, GradScalerError, type ScalerOptions, type ScalerState } from "./grad-scaler.js";
export { type Hardware, readHardware } from "./hardware.js";
export { observe, type Observer, type OperatorEvent, unobserved } from "./observe.js";
export { checkOverrides, pathPattern } from "./overrides.js";
export { type CastRule, castRules, cudaPolicy, defaultPolicy, type ModuleRule, moduleRules, type Overrides, policies, type Policy, policyByName, policyDifferences, PolicyError, type PolicyRow, withOperators } from "./policy.js";
export { autoTable, type Precision, PrecisionError, type PrecisionRequest, precisions, type ResolvedPrecision, resolvePrecision } from "./precision.js";
