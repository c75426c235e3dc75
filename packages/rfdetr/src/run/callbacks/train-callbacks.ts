// What a user's module may do in a run: listen to it, record figures, change its learning rate and precision, stop it.
import type { ModuleRule } from "@rfdetr/amp";
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import type { SplitLoss } from "../../eval/validation-loss.js";
import type { CheckpointEvent, EpochEvent, StartEvent, StepEvent } from "../events/events.js";
import type { RunSummary } from "../files/run-directory.js";

/** A value that JSON keeps as it is. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** An epoch begins. */
export interface EpochStart {
  /** Counted from 1. */
  epoch: number;
  epochs: number;
  /** Steps of the run so far. */
  step: number;
}

/** A step that was tried, as a callback sees it. */
export interface CallbackStep extends StepEvent {
  /** Means of the unweighted loss terms over the micro-batches, all layers by name. */
  terms: Readonly<Record<string, number>>;
  /** The files of the images of this process; empty where the loader does not tell. */
  files: readonly string[];
}

/** An evaluation at the end of an epoch. */
export interface CallbackEvaluation {
  epoch: number;
  step: number;
  /** Figures of the weights that would be shipped: the averaged ones, where there is an average. */
  summary: CocoSummary;
  /** Figures of the weights that are not averaged; null unless `eval_base_model` asks for them. */
  base: CocoSummary | null;
  /** Loss of the weights of `summary` on the split; null unless `compute_val_loss` asks for it. */
  loss: SplitLoss | null;
}

/** What a callback may answer. What it leaves out stays as it is. */
export interface CallbackAnswer {
  /**
   * Figures to record, as `NAME/figure` with the name of the callback: in the event, metrics.csv, TensorBoard and the
   * report. metrics.csv has the mean over the steps of an epoch of what `onStep` answers.
   */
  metrics?: Readonly<Record<string, number>>;
  /**
   * What all learning rates of the schedule are multiplied by from the next step on, until this callback answers
   * another factor. The factors of several callbacks are multiplied.
   */
  lrFactor?: number;
  /** Rule of precision for modules from the next step on, as in `precision_overrides`. */
  override?: { pattern: string; rule: ModuleRule };
  /** Ends the run for this reason: after this epoch, or after this step, with an evaluation. */
  stop?: string;
}

type Answer = CallbackAnswer | undefined | void;

/**
 * Listens to a run. Methods may be asynchronous; the run waits for them. They run in the training thread, of several
 * processes in that of rank 0 alone, whose answers hold for all.
 *
 * A resumed run has the bits of one that was never stopped only if the callback declares what it remembers: `state` is
 * saved in every checkpoint, and `load` gets it back after a resume and after a rollback. A method that throws ends the
 * run, which can be continued from its last checkpoint.
 */
export interface TrainCallbacks<State extends JsonValue = JsonValue> {
  /** In figures and messages: letters, digits, `.`, `_` and `-`. Default: the name of the file. */
  name?: string;
  /** The run begins, or goes on after a resume: then `resumedAt` says after which step. */
  onRunStart?(run: StartEvent): void | Promise<void>;
  onEpochStart?(epoch: EpochStart): Answer | Promise<Answer>;
  /** A step was tried, applied or not. */
  onStep?(step: CallbackStep): Answer | Promise<Answer>;
  onEvaluation?(evaluation: CallbackEvaluation): Answer | Promise<Answer>;
  /** An epoch has ended, evaluated or not. */
  onEpochEnd?(epoch: EpochEvent): Answer | Promise<Answer>;
  /** A checkpoint was written. What changes here is no part of its state. */
  onCheckpoint?(checkpoint: CheckpointEvent): void | Promise<void>;
  /** The run ends, also by failing; nobody waits for it then. */
  onRunEnd?(summary: RunSummary): void | Promise<void>;
  state?(): State;
  load?(state: State): void;
}

/**
 * Types the callbacks of a run. A module exports them as its default, one or a list, and the setting `callbacks` names
 * the module.
 * @returns the same callbacks
 * @example
 * import { defineCallbacks } from "rfdetr";
 *
 * let [best, waited, factor] = [0, 0, 1];
 * export default defineCallbacks({
 *   name: "plateau",
 *   onEvaluation({ summary }) {
 *     const ap = (summary.masks ?? summary).AP ?? 0;
 *     waited = ap > best ? 0 : waited + 1;
 *     best = Math.max(best, ap);
 *     if (waited > 0 && waited % 3 === 0) factor /= 10;
 *     return { metrics: { waited }, lrFactor: factor, ...(waited >= 9 ? { stop: "AP stays" } : {}) };
 *   },
 *   state: () => [best, waited, factor],
 *   load: (state) => {
 *     [best, waited, factor] = state;
 *   },
 * });
 */
export function defineCallbacks<State extends JsonValue>(callbacks: TrainCallbacks<State>): TrainCallbacks<State> {
  return callbacks;
}
