// `rfdetr/report`: what the folder of a run tells. Loads no libtorch.

export type { MetricsTable } from "./metrics-table.js";
export {
  type Excerpt,
  NumericsReader,
  type NumericsRecord,
  type ReadOptions,
  type SkippedRun,
} from "./numerics-reader.js";
export type { Picture } from "./pictures-index.js";
export { type ReadConfig, type ReadEvaluation, RunReader, type RunRecord, readRun } from "./run-record.js";
export type { Course, StepPoints } from "./step-points.js";
export type { WatchedSpan } from "./watched-spans.js";
