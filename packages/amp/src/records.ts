// `@rfdetr/amp/records`: what was seen of values, and what follows from it. It does not load libtorch.
export {
  type Fault,
  type FaultPhase,
  faultEvidence,
  faultHeadline,
  type TensorFacts,
  type TrailEntry,
} from "./numerics/fault.js";
export { Forecaster, type ForecastRecord, forecastText } from "./numerics/forecast.js";
export { headroomOf } from "./numerics/headroom.js";
export type { Headroom, LargestValue, ModuleRecord, UpdateRecord } from "./numerics/module-record.js";
export { parseRecord, recordLine } from "./numerics/record-line.js";
export type { CalibratedPrecision } from "./observers/calibrated-precision.js";
