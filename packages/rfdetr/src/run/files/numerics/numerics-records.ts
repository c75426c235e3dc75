// The lines of numerics.jsonl: one record for each optimizer step, and others.

import type { Precision } from "@rfdetr/amp/names";
import type { CalibratedPrecision, ForecastRecord, ModuleRecord, UpdateRecord } from "@rfdetr/amp/records";
import type { PeakMemory } from "../../../train/measure/memory-peak.js";
import type { OverflowReport } from "../../../train/measure/overflow-report.js";
import type { StepEvent } from "../../events/events.js";

/** The version of all records in numerics.jsonl. New fields keep the version; a field with a new meaning raises it. */
export const numericsVersion = 1;

/**
 * The record of one optimizer step, applied or not. Numbers that are not finite are written as the strings "nan", "inf"
 * and "-inf", because JSON has no such numbers.
 */
export interface StepRecord {
  v: typeof numericsVersion;
  kind: "step";
  /** The number of optimizer steps tried so far, this one included, from 1. Only this number counts skipped steps. */
  step: number;
  /** The number of optimizer steps applied so far. */
  applied_steps: number;
  epoch: number;
  precision: Precision;
  /** The loss scale in this step's backward; 1 where nothing is scaled. */
  scale: number;
  loss: number;
  /** Whether the loss or a gradient was not finite: what was found. */
  found_inf: boolean;
  /**
   * Whether the optimizer was not run: what came of it. Weights, moments, average and schedule are then as before. As
   * long as nothing else skips a step, it is `found_inf`.
   */
  skipped: boolean;
  /** The L2 norm of all gradients together, without the loss scale and before clipping. */
  grad_norm: number;
  /** The factor that clipping multiplied the gradients by; 1 where nothing was clipped. */
  clip_factor: number;
  lr: number;
  /** The first parameter, in the order of the model, whose gradient is not finite; null where none is. */
  bad_parameter: string | null;
  /** The first module whose output was not finite; null unless a replay has found one. */
  bad_module: string | null;
  /** What was not finite, in words; null where everything was finite. */
  fault: string | null;
  /** Seconds that the step took. */
  seconds: number;
  /**
   * Bytes. `live_bytes` and `peak_bytes` count tensors, `rss_bytes` the resident memory of the process. `kept_bytes` is
   * what one forward kept for backward, `half_copy_bytes` the float16 or bfloat16 copies of the weights.
   */
  memory: { live_bytes: number; peak_bytes: number; rss_bytes: number; kept_bytes: number; half_copy_bytes: number };
  /** Where the time of `seconds` went. */
  phases: PhaseSeconds;
  /** Where the run is after the step; absent in files of earlier versions. */
  progress?: ProgressRecord;
}

/** Where a run is after a step and how long it still takes, as {@link StepEvent} has it. */
export interface ProgressRecord {
  /** Steps of the epoch so far, of so many. */
  step_in_epoch: number;
  steps_per_epoch: number;
  /** Epochs that the run has steps for; null before the end of a run with a time budget is planned. */
  planned_epochs: number | null;
  /** The last step of the run, as it is planned now. */
  total_steps: number;
  /** Steps that were skipped since the start of the run. */
  skipped_steps: number;
  /** 0 until a step has ended. */
  images_per_second: number;
  /** Infinite while the speed is not known. */
  seconds_left: number;
}

/**
 * Seconds by phase of a step. What is missing to `seconds` was spent between the steps: on records, checkpoints, pauses
 * and whoever listens to the run. On a GPU these are the times in which the work was handed over, as
 * `StepSeconds` of `rfdetr/train` says.
 */
export interface PhaseSeconds {
  /** Waiting for the loader, and turning its images into the input of the model. */
  load: number;
  forward: number;
  loss: number;
  backward: number;
  /** Checks, clipping, AdamW, and the average of the weights, which is updated in the same pass over memory. */
  optimizer: number;
}

/** The record of one watched step. */
export interface MonitorRecord {
  v: typeof numericsVersion;
  kind: "monitor";
  step: number;
  precision: Precision;
  /** The loss scale, which the gradients below include. */
  scale: number;
  /** The modules by the outputs of their operators. */
  forward: ModuleRecord[];
  /** The modules by the gradients that arrived at those outputs. */
  gradient: ModuleRecord[];
  /** How the step moved the weights, by parameter. */
  updates: UpdateRecord[];
  /** Bytes of the operators' outputs in one forward: `half` in float16 and bfloat16, `full` in float32 and float64. */
  written_bytes: { half: number; full: number };
  /**
   * The files of the step's images, relative to the folder of the data, in the order of the micro-batches; empty where
   * the loader does not tell.
   */
  images: string[];
  /** The modules that will overflow if they go on to grow; empty where none is foreseen to. */
  forecasts: ForecastRecord[];
  /** What the step before held at its peak; null where that was not looked at. */
  memory: PeakMemory | null;
  /** Seconds that recording took. */
  seconds: number;
}

/** The record of a step that was not finite, and was run again. */
export interface OverflowRecord extends OverflowReport {
  v: typeof numericsVersion;
  kind: "overflow";
}

/** The record of a return to an earlier checkpoint. The steps between `to_step` and `step` are then done again. */
export interface RollbackRecord {
  v: typeof numericsVersion;
  kind: "rollback";
  step: number;
  /** The step whose state was restored. */
  to_step: number;
  /** The factor on all learning rates from here on. */
  lr_factor: number;
  /** What was not finite, in words. */
  fault: string | null;
}

/** A command to the running run that it obeyed, or a change of precision that its settings asked for. */
export interface ControlRecord {
  v: typeof numericsVersion;
  kind: "control";
  /** The last step before it. What it changes holds from the next one. */
  step: number;
  command: "pause" | "go-on" | "stop" | "override" | "undo" | "lr";
  /** Whether another process asked for it now, `precision_changes` of the settings or a callback. */
  by: "command" | "settings" | "callback";
  /** The pattern of modules and its rule, of an override. */
  pattern?: string;
  rule?: string;
  /** All overrides that hold from the next step, of an override and an undo. */
  overrides?: Record<string, string>;
  /** When, ISO 8601. */
  at: string;
}

/** The first line of the file: the run that the other lines belong to. */
export interface HeaderRecord {
  v: typeof numericsVersion;
  kind: "header";
  precision: Precision;
  /** Why this precision was chosen. */
  reason: string;
  /** What the user should know about this precision on this hardware; null where there is nothing. */
  note: string | null;
  policy: string;
  overrides: Record<string, string>;
  /** See `splitsProducts`. Files of earlier versions lack it. */
  splits?: boolean;
  hardware: string;
  /** Steps between watched ones; 0 where none is watched. */
  monitor_interval: number;
  /** Bytes of the tensors that are the same in every precision. */
  fixed_bytes: { weights: number; gradients: number; moments: number; average: number };
  /** What was measured to choose the precision; missing where nothing was measured. */
  calibration?: (Pick<
    CalibratedPrecision,
    "precision" | "step_seconds" | "speedup" | "peak_tensor_bytes" | "memory_ratio" | "gradient_cosine"
  > &
    // Files of earlier versions lack it.
    Partial<Pick<CalibratedPrecision, "rounding_cosine">>)[];
}
