// Automatic mixed precision for any module of @rfdetr/torch.

export { Autocast, type AutocastOptions, activeAutocast, withoutAutocast } from "./autocast/autocast.js";
export { AmpError, GradScalerError, MonitorError, PolicyError, PrecisionError } from "./errors.js";
export { type BadGradient, badGradients, gradientsFinite, nonFinite } from "./finite.js";
export {
  type ElementFormat,
  type NumberFormat,
  type NumberFormatName,
  numberFormatNames,
  numberFormats,
  type Scaling,
} from "./formats/number-format.js";
export { type Rounded, roundElements, roundMatrix } from "./formats/round.js";
export { GradScaler, type ScalerOptions, type ScalerState } from "./grad-scaler.js";
export {
  type CastRule,
  castRules,
  lowPrecisionOf,
  type ModuleRule,
  moduleRules,
  type Precision,
  precisions,
} from "./names.js";
export { type Observer, type OperatorEvent, observe } from "./observe.js";
export {
  type CalibratedFormat,
  type Calibration,
  type CalibrationTask,
  calibrate,
  roundsFor,
} from "./observers/calibrate.js";
export type { MeasuredSpeed } from "./observers/calibrated-precision.js";
export { CastMap, type CastMapRow, type CastRow } from "./observers/cast-map.js";
export { type ChoiceAgreement, Choices } from "./observers/choices.js";
export { compareModules, type ModuleError, worstModules } from "./observers/compare-modules.js";
export { Monitor, UpdateProbe, type WatchedStep } from "./observers/monitor.js";
export { recommend, roundsDisagree, speedInWords } from "./observers/recommend.js";
export { type Replay, replay } from "./observers/replay.js";
export {
  autoTable,
  type PrecisionRequest,
  precisionsOf,
  type ResolvedPrecision,
  resolvePrecision,
} from "./policy/auto-precision.js";
export { type Hardware, readHardware } from "./policy/hardware.js";
export { checkOverrides, pathPattern } from "./policy/overrides.js";
export { PolicyRules } from "./policy/plan.js";
export {
  cudaPolicy,
  defaultPolicy,
  type Overrides,
  type Policy,
  type PolicyRow,
  policies,
  policyByName,
  withOperators,
} from "./policy/policy.js";
export * from "./records.js";
