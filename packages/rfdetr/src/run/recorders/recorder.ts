// What writes down a run: one recorder for each file, or kind of file, of the run folder.
import type { WatchedStep } from "@rfdetr/amp";
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import type { PictureEntry } from "../../pictures/picture-index.js";
import type { PeakMemory } from "../../train/measure/memory-peak.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import type { StepResult } from "../../train/step/step.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import type { ControlEvent, EpochEvent, StepEvent } from "../events/events.js";
import type { MonitorRecord, PhaseSeconds } from "../files/numerics/numerics-records.js";
import type { RankStep } from "../files/numerics/rank-records.js";
import type { RunSummary } from "../files/run-directory.js";

/** A step that was tried, applied or not. */
export interface RecordedStep {
  event: StepEvent;
  result: StepResult;
  microBatches: readonly MicroBatch[];
  /** Loss scale that the step ran with; 1 where gradients are not scaled. */
  scale: number;
  /** Wall-clock time since the step before, waiting for data included. */
  seconds: number;
  /** Seconds by phase. */
  phases: PhaseSeconds;
  /** What each process did, in the order of the ranks; null in a run of one process. */
  ranks: readonly RankStep[] | null;
  /** The files of the images, in the order of the micro-batches; empty where the loader does not tell. */
  files: readonly string[];
  /** Where a faulty step first was not finite; null unless it was run again. */
  report: OverflowReport | null;
  /** What the monitor saw; null where this step was not watched. */
  seen: (WatchedStep & Pick<MonitorRecord, "updates"> & { memory: PeakMemory | null }) | null;
}

/** A return to the last checkpoint. */
export interface RecordedRollback {
  /** The faulty step. */
  from: number;
  /** The step whose state the run is in again. */
  to: number;
  /** What all learning rates are multiplied by from now on. */
  lrFactor: number;
  /** What was not finite. */
  fault: string | null;
}

/** An epoch that has ended. Its numbers still stand in the session's progress. */
export interface RecordedEpoch {
  event: EpochEvent;
  /** Figures of the weights that would be shipped; null where the epoch was not evaluated. */
  summary: CocoSummary | null;
  /** Figures of the weights that are not averaged; null unless both were evaluated. */
  base: CocoSummary | null;
  /** The better of the two by the chosen metric. */
  chosen: CocoSummary | null;
  /** Everything about `chosen`, also `summaryDetails` about `summary`. */
  details: EvaluationDetails | null;
  summaryDetails: EvaluationDetails | null;
  /** Whether `chosen` is `base`. */
  baseWins: boolean;
  /** False for weights that diverged, or that no step has changed: what was saved before is better. */
  usable: boolean;
}

/**
 * Listens to a run. The trainer calls every recorder, in the order of the list and before it emits the event; the
 * checkpoint that contains a step or an epoch is written after all of them. So a kill between two recorders leaves
 * records beyond the checkpoint, never gaps: a recorder that is opened on a resumed run drops what lies beyond
 * `session.progress`, and it is recorded again.
 */
export interface Recorder {
  step?(step: RecordedStep): void;
  rollback?(rollback: RecordedRollback): void;
  /** The run obeyed a command, or changed its precision. */
  control?(control: ControlEvent): void;
  epoch?(epoch: RecordedEpoch): void;
  /** The run is stopped within an epoch, with weights that can be used. */
  stopped?(): void;
  /** The best weights were scored on the test split. */
  test?(details: EvaluationDetails): void;
  /** The run ends, also by failing. */
  end?(summary: RunSummary): void;
  /**
   * Draws pictures of what was recorded; the run waits for it. Called after every step and epoch, and after the end.
   * @returns the pictures that were written
   */
  draw?(): Promise<readonly PictureEntry[]>;
  /** Pictures were written into the folder `pictures` of the run. */
  pictures?(entries: readonly PictureEntry[]): Promise<void>;
  /** Called once, after everything else, also when the run failed. */
  close?(): void;
}

/** That damaged lines or records of a log were dropped, in words. */
export const droppedLines = (count: number, file: string): string =>
  count === 1 ? `A damaged line of ${file} was dropped` : `${count} damaged lines of ${file} were dropped`;
