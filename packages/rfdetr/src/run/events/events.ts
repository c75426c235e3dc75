// The events of a training run. They are plain data, so that they can cross threads and become JSON lines.

import type { ModuleRule } from "@rfdetr/amp";
import type { ClassSummary } from "../../eval/coco/coco-summary.js";
import type { Shape } from "../../support/shape.js";
import type { RunSummary, RunVersions } from "../files/run-directory.js";

/** A measurement or a download that takes a while before the run starts. */
export interface PreparingEvent {
  type: "preparing";
  what: string;
}

/** The run begins; what it was resolved to. */
export interface StartEvent {
  type: "start";
  dir: string;
  /** Versions that the run is computed with. */
  versions: RunVersions;
  /** Folder of the dataset. */
  data: string;
  model: string;
  /** Path of the weights that the run began with; null for random ones. */
  weights: string | null;
  resolution: Shape;
  /** Sizes in pixels that the steps take turns with (`multi_scale`); null where all have the resolution. */
  scales: Shape[] | null;
  parameters: number;
  classes: string[];
  trainImages: number;
  validImages: number;
  stepsPerEpoch: number;
  totalSteps: number;
  /** Seconds that the run may take; null for any. */
  timeBudget: number | null;
  epochs: number;
  /** Epochs between evaluations; the last epoch is always evaluated. */
  evalInterval: number;
  /** Learning rates of the settings: of the encoder, and of all else. */
  lrEncoder: number;
  lr: number;
  /** Images per optimizer step. */
  batch: number;
  /** Micro-batches that make an optimizer step. */
  accumulate: number;
  /** Processes that train together. */
  processes: number;
  precision: string;
  /** Why this precision. */
  reason: string;
  /** What this precision costs on this hardware, in words; null where nothing is to be said. */
  precisionNote: string | null;
  /** Rules of modules that the next step follows, by pattern, as `precision_overrides` and its changes give them. */
  overrides: Readonly<Record<string, string>>;
  device: string;
  /** Name of the GPU; null on a CPU. */
  deviceName: string | null;
  threads: number;
  hardware: string;
  seed: number;
  /** The last step before a resumed run continues; null for a new run. */
  resumedAt: number | null;
}

/** Why a step changed nothing. */
export interface StepFault {
  /** What is not finite, in words: `gradient of …`, `loss of micro-batch 1 of 4 (loss_bbox)`. */
  what: string;
  /** Path of the module where it began; null where that was not looked for or not found. */
  module: string | null;
  /** Loss scale of the step; 1 where gradients are not scaled. */
  scale: number;
  /** Of several processes, the rank where it began; absent where that was not looked for. */
  rank?: number;
  /** The image whose annotations are not finite, or that is alone in a micro-batch whose loss is not. */
  image?: string;
}

/** An optimizer step was made. */
export interface StepEvent {
  type: "step";
  /** Counted from 1. */
  epoch: number;
  step: number;
  /** The last step of the run; a time budget may move it, and steps that were undone do. */
  totalSteps: number;
  /**
   * Epochs that the run has steps for, the last one perhaps in part. Null in the first steps of a run with a time
   * budget, whose end is planned as soon as its speed is known.
   */
  plannedEpochs: number | null;
  /** Steps of the epoch so far. */
  stepInEpoch: number;
  stepsPerEpoch: number;
  loss: number;
  lr: number;
  gradNorm: number;
  imagesPerSecond: number;
  rssBytes: number;
  /** Side length in pixels of the images of this step. */
  size: Shape;
  precision: string;
  lossScale: number | null;
  /** Whether this step changed nothing because a loss or gradient was not finite. */
  skipped: boolean;
  /** Why the step was skipped; null for one that was applied. */
  fault: StepFault | null;
  skippedSteps: number;
  /** Infinite while the speed is not known: in the first steps of a process. */
  secondsLeft: number;
  /** Figures of callbacks; absent without callbacks. */
  metrics?: Record<string, number>;
}

/** An evaluation goes on. */
export interface EvaluationEvent {
  type: "evaluation";
  images: number;
  totalImages: number;
}

/** Figures of masks. Null where none is defined, as those of boxes. */
export interface MaskFigures {
  ap: number | null;
  ap50: number | null;
  ap75: number | null;
  perClass: ClassSummary[];
}

/** An epoch has ended, with its figures. */
export interface EpochEvent {
  type: "epoch";
  epoch: number;
  /** Epochs that the settings ask for. */
  epochs: number;
  /** Epochs that the run has steps for, as in {@link StepEvent}. */
  plannedEpochs: number | null;
  step: number;
  loss: number;
  /** Means of the unweighted loss terms over the epoch; auxiliary layers summed as `*_aux`. */
  terms: Record<string, number>;
  lr: number;
  /** Loss on the validation split; null if it was not computed. */
  valLoss: number | null;
  /** Its unweighted terms, as `terms`; empty if it was not computed. */
  valTerms: Record<string, number>;
  /** Null if the epoch was not evaluated or no figure is defined, such as without objects; also ap50 and ap75. */
  ap: number | null;
  ap50: number | null;
  ap75: number | null;
  perClass: ClassSummary[];
  /** Figures of the masks, by which the best weights are chosen; absent where the model has no masks. */
  masks?: MaskFigures;
  /** Whether these weights are the best so far. */
  best: boolean;
  seconds: number;
  evaluationSeconds: number;
  imagesPerSecond: number;
  amp: { precision: string; lossScale: number | null; skipped: number };
  /** Figures of callbacks, means over the steps among them; absent without callbacks. */
  metrics?: Record<string, number>;
}

/** Figures of the best weights on the test split, with `run_test`. */
export interface TestEvent {
  type: "test";
  /** Null if the test split has no objects; also ap50. */
  ap: number | null;
  ap50: number | null;
  perClass: ClassSummary[];
  /** Absent where the model has no masks. */
  masks?: MaskFigures;
}

/** A checkpoint was written. */
export interface CheckpointEvent {
  type: "checkpoint";
  path: string;
  step: number;
}

/** Something that was found or decided, and that a user may want to know. */
export interface NoteEvent {
  type: "note";
  message: string;
}

/** Something that the user should look into. */
export interface WarningEvent {
  type: "warning";
  message: string;
}

/** The run obeyed a command of another process or a callback, or changed its precision as its settings ask for. */
export interface ControlEvent {
  type: "control";
  command: "pause" | "go-on" | "stop" | "override" | "undo" | "lr";
  /** Whether a command asked for it, `precision_changes` of the settings or a callback. */
  by: "command" | "settings" | "callback";
  /** The last step before it. */
  step: number;
  /** Of an override: the modules and their rule. */
  pattern?: string;
  rule?: string;
  /** Whether the run waits now, until it is told to go on. */
  paused: boolean;
  /** The overrides of precision that hold from the next step. */
  overrides: Record<string, ModuleRule>;
  /** What happened, in a sentence. */
  message: string;
}

/** The run has ended. */
export interface DoneEvent {
  type: "done";
  /** Whether the run had ended already when it was resumed, so that nothing was trained. */
  endedBefore: boolean;
  summary: RunSummary;
  dir: string;
  /** Path of the best weights; null if no epoch had figures to choose by. */
  best: string | null;
  /** Path of the weights of the end; null if the run ended before it had any that are finite. */
  last: string | null;
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
  | NoteEvent
  | WarningEvent
  | ControlEvent
  | DoneEvent;
