// Automatic mixed precision for any module of @rfdetr/torch.

export {
  autoTable,
  type Precision,
  type PrecisionRequest,
  precisions,
  precisionsOf,
  type ResolvedPrecision,
  resolvePrecision,
} from "./auto-precision.js";
export { Autocast, type AutocastOptions, activeAutocast, withoutAutocast } from "./autocast.js";
export { type Calibration, type CalibrationTask, calibrate, recommend } from "./calibrate.js";
export { CastMap, type CastMapRow, type CastRow } from "./cast-map.js";
export { compareModules, type ModuleError } from "./compare-modules.js";
export { AmpError, GradScalerError, MonitorError, PolicyError, PrecisionError } from "./errors.js";
export { type BadGradient, badGradients, gradientsFinite, nonFinite } from "./finite.js";
export { GradScaler, type ScalerOptions, type ScalerState } from "./grad-scaler.js";
export { type Hardware, readHardware } from "./hardware.js";
export { Monitor, UpdateProbe, type Watched } from "./monitor.js";
export { type NumericsSummary, summarizeNumerics } from "./numerics-summary.js";
export { formatNumerics } from "./numerics-text.js";
export { type Observer, type OperatorEvent, observe, unobserved } from "./observe.js";
export {
  advise,
  type FaultPhase,
  formatOverflowReport,
  type OverflowReport,
  type TensorFacts,
  type TrailEntry,
} from "./overflow-report.js";
export { checkOverrides, pathPattern } from "./overrides.js";
export {
  type CastRule,
  castRules,
  cudaPolicy,
  defaultPolicy,
  type ModuleRule,
  moduleRules,
  type Overrides,
  type Policy,
  type PolicyRow,
  policies,
  policyByName,
  policyDifferences,
  withOperators,
} from "./policy.js";
export { addRange, compactExponents, type Range, rangeOf, type Shares, shares } from "./range.js";
export { type Replay, replay } from "./replay.js";
export {
  type CalibratedPrecision,
  type HeaderRecord,
  type ModuleRecord,
  type MonitorRecord,
  numericsVersion,
  parseRecord,
  recordLine,
  type StepRecord,
  type UpdateRecord,
} from "./step-record.js";
