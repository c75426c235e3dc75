// `rfdetr/report`: what the folder of a run tells, and the report of it. Loads no libtorch.

export type {
  ControlRecord,
  HeaderRecord,
  MonitorRecord,
  OverflowRecord,
  PhaseSeconds,
  ProgressRecord,
  RollbackRecord,
  StepRecord,
} from "../run/files/numerics/numerics-records.js";
export type { GroupRecord, RankColumns } from "../run/files/numerics/rank-records.js";
export type { PeakMemory } from "../train/measure/memory-peak.js";
export type { OverflowReport } from "../train/measure/overflow-report.js";
export type { MetricsTable } from "./records/metrics-table.js";
export { NumericsReader, type ReadOptions } from "./records/numerics-reader.js";
export type { Excerpt, NumericsRecord, SeenForecast, SkippedRun, StepProgress } from "./records/numerics-record.js";
export type { RankMeans, RankSummary } from "./records/ranks.js";
export { type ReadConfig, RunReader, type RunRecord, readRun } from "./records/run-record.js";
export type { Course, StepPoints } from "./records/step-points.js";
export type { WatchedSpan } from "./records/watched-spans.js";
export { runReport } from "./run-report.js";
export { type NumericsSummary, summarizeNumerics } from "./summary/numerics-summary.js";
export { numericsText } from "./summary/numerics-text.js";
export { type WrittenReport, writeReport } from "./write-report.js";
