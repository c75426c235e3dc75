// `@rfdetr/amp/records`: what numerics.jsonl holds, and what follows from it. It does not load libtorch.
export { Forecaster, forecastText } from "./numerics/forecast.js";
export { headroomOf } from "./numerics/headroom.js";
export {
  advise,
  type FaultPhase,
  formatOverflowReport,
  type OverflowReport,
  type TensorFacts,
  type TrailEntry,
} from "./numerics/overflow-report.js";
export {
  type CalibratedPrecision,
  type ControlRecord,
  type ForecastRecord,
  type HeaderRecord,
  type Headroom,
  type LargestValue,
  type ModuleRecord,
  type MonitorRecord,
  numericsVersion,
  type PeakMemory,
  type PhaseSeconds,
  parseRecord,
  type RollbackRecord,
  recordLine,
  type StepRecord,
  type UpdateRecord,
} from "./numerics/step-record.js";
