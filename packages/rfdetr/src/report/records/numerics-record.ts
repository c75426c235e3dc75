// What numerics.jsonl of a run holds, as a reader has it.
import type { ForecastRecord } from "@rfdetr/amp/records";
import type {
  ControlRecord,
  HeaderRecord,
  MonitorRecord,
  ProgressRecord,
  RollbackRecord,
} from "../../run/files/numerics/numerics-records.js";
import type { PeakMemory } from "../../train/measure/memory-peak.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import type { RankSummary } from "./ranks.js";
import type { StepPoints } from "./step-points.js";
import type { WatchedSpan } from "./watched-spans.js";

/** Skipped steps without an applied one between them. */
export interface SkippedRun {
  first: number;
  last: number;
  steps: number;
  /** The loss scale of the first of them; 1 where nothing is scaled. */
  scale: number;
  /** What was not finite in the first of them, in words; null where the record does not say. */
  fault: string | null;
  bad_parameter: string | null;
  bad_module: string | null;
  /** The next step that was applied, and its loss scale; null where none followed. */
  next: { step: number; scale: number } | null;
}

/** An overflow that was foreseen, as it was foreseen last. */
export interface SeenForecast extends ForecastRecord {
  /** The watched steps that foresaw it: the first and the last. */
  first: number;
  last: number;
}

/** A list of which the middle was left out where it is long. */
export interface Excerpt<T> {
  /** Entries of the whole list. */
  total: number;
  /** The first and the last of them. */
  entries: T[];
}

/** Where a run was after a step. */
export interface StepProgress extends ProgressRecord {
  /** Counted from 1. */
  epoch: number;
}

/** What numerics.jsonl holds. */
export interface NumericsRecord {
  /** The first line of the file; null where it is missing. */
  header: HeaderRecord | null;
  /** Records of steps: each was applied or skipped. A step that was done twice, after a rollback, counts twice. */
  steps: number;
  skipped: number;
  /** The number of the last step; 0 without any. */
  lastStep: number;
  /** Where the run was after the last step; null where its record does not tell. */
  progress: StepProgress | null;
  points: StepPoints;
  skippedRuns: Excerpt<SkippedRun>;
  /** The first step of the run, and the first with each new loss scale. */
  scaleChanges: Excerpt<{ step: number; scale: number }>;
  watched: WatchedSpan[];
  /** The last watched step, as it was recorded; null without any. */
  latest: MonitorRecord | null;
  /** What the step with the highest peak of memory held then, of those that were looked at; null without any. */
  peak: PeakMemory | null;
  overflows: Excerpt<OverflowReport>;
  rollbacks: Excerpt<RollbackRecord>;
  /** Commands to the running run, and changes of precision, that it obeyed. */
  controls: Excerpt<ControlRecord>;
  /** Overflows that were foreseen, one for each side of a module, whether they came or not. */
  forecasts: SeenForecast[];
  /** The processes of the last steps; null for a run of one process. */
  ranks: RankSummary | null;
  /** Lines that are not records of a version that is known. */
  damagedLines: number;
  /** What is wrong with the file, in words. */
  faults: string[];
}
