// What a training run tells while it runs. Events are plain data: they cross threads and become JSON lines as they are.
import type { ClassSummary } from "../../eval/coco/coco-summary.js";
import type { RunSummary } from "./run-directory.js";

/** Something that takes a while before the run starts. */
export interface PreparingEvent {
  type: "preparing";
  what: string;
}

/** The run begins; what it was resolved to. */
export interface StartEvent {
  type: "start";
  dir: string;
  model: string;
  resolution: number;
  parameters: number;
  classes: string[];
  trainImages: number;
  validImages: number;
  stepsPerEpoch: number;
  totalSteps: number;
  epochs: number;
  /** Images an optimizer step sees. */
  batch: number;
  precision: string;
  reason: string;
  device: string;
  threads: number;
  engine: string;
  hardware: string;
  seed: number;
  /** The step that a resumed run continues after. */
  resumedAt: number | null;
}

/** An optimizer step was made. */
export interface StepEvent {
  type: "step";
  /** Counted from 1. */
  epoch: number;
  step: number;
  totalSteps: number;
  loss: number;
  lr: number;
  gradNorm: number;
  imagesPerSecond: number;
  rssBytes: number;
  /** Side length of the images of this step. */
  size: number;
  precision: string;
  lossScale: number | null;
  /** True where this step changed nothing because something was not finite. */
  skipped: boolean;
  skippedSteps: number;
  secondsLeft: number;
}

/** An evaluation goes on. */
export interface EvaluationEvent {
  type: "evaluation";
  images: number;
  totalImages: number;
}

/** An epoch has ended, with its figures. */
export interface EpochEvent {
  type: "epoch";
  epoch: number;
  epochs: number;
  step: number;
  loss: number;
  /** Means of the unweighted loss terms over the epoch; auxiliary layers summed as `*_aux`. */
  terms: Record<string, number>;
  lr: number;
  /** Null where the epoch was not evaluated. */
  ap: number | null;
  ap50: number | null;
  ap75: number | null;
  perClass: ClassSummary[];
  /** Whether these weights are the best so far. */
  best: boolean;
  seconds: number;
  evaluationSeconds: number;
  imagesPerSecond: number;
  amp: { precision: string; lossScale: number | null; skipped: number };
}

/** The best weights on the test split, with `run_test`. */
export interface TestEvent {
  type: "test";
  ap: number;
  ap50: number;
  perClass: ClassSummary[];
}

/** A checkpoint was written. */
export interface CheckpointEvent {
  type: "checkpoint";
  path: string;
  step: number;
}

/** Something that the user should know. */
export interface WarningEvent {
  type: "warning";
  message: string;
}

/** The run has ended. */
export interface DoneEvent {
  type: "done";
  summary: RunSummary;
  dir: string;
  /** Best weights; null where no epoch ended. */
  best: string | null;
}

/** What a run tells while it trains; `type` says which. */
export type TrainEvent =
  | PreparingEvent
  | StartEvent
  | StepEvent
  | EvaluationEvent
  | EpochEvent
  | TestEvent
  | CheckpointEvent
  | WarningEvent
  | DoneEvent;
