// `rfdetr/report`: what the folder of a run tells, and the report of it. Loads no libtorch.

export type { MetricsTable } from "./metrics-table.js";
export {
  type Excerpt,
  NumericsReader,
  type NumericsRecord,
  type ReadOptions,
  type SeenForecast,
  type SkippedRun,
} from "./numerics-reader.js";
export type { RankMeans, RankSummary } from "./ranks.js";
export { type ReadConfig, RunReader, type RunRecord, readRun } from "./run-record.js";
export { runReport } from "./run-report.js";
export type { Course, StepPoints } from "./step-points.js";
export type { WatchedSpan } from "./watched-spans.js";
export { type WrittenReport, writeReport } from "./write-report.js";
