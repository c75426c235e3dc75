// The checkpoint folder: everything a resumed run needs to continue as if it had never stopped.

import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ScalerState } from "@rfdetr/amp";
import { loadSafetensors, type optim, saveSafetensors, type Tensor } from "@rfdetr/torch";
import { CheckpointError, RunDirectoryError } from "../../../support/errors.js";
import { previousSuffix, replaceFolder, syncFile, writeFailure } from "../../../support/files/atomic.js";
import { readJson } from "../../../support/files/json.js";
import { reasonOf } from "../../../support/files/system-error.js";
import { shown } from "../../../support/shown.js";
import type { EarlyStoppingState } from "../../../train/schedule/early-stopping.js";
import type { JsonValue } from "../../callbacks/train-callbacks.js";
import { Checksums, faultOfSums, sumsName } from "./checksums.js";
import { faultOfState } from "./state-schema.js";

/** Layout of the checkpoint folder. The first had no checksums; the second had the state of the random generator. */
const layout = 3;

/** What is remembered of an evaluation. */
interface Figures {
  AP: number | null;
  AP50: number | null;
}

/** The position of a run, as plain JSON. */
export interface SavedProgress {
  /** The epoch in progress, counted from 0, and the number of its steps that are done. */
  epoch: number;
  stepInEpoch: number;
  /** Steps tried, applied and skipped. */
  step: number;
  applied: number;
  skipped: number;
  trainSeconds: number;
  /** Seconds at the ends of epochs; only runs with a time budget have them. */
  endSeconds?: number;
  /** The last step that a time budget leaves, if it is earlier than that of the settings. */
  plannedSteps?: number;
  /** Sums over the steps of the epoch in progress. */
  epochSums: {
    loss: number;
    steps: number;
    images: number;
    seconds: number;
    terms: Record<string, number>;
    /** Gradient norms of applied steps. */
    norms: { sum: number; steps: number };
    /** Figures of callbacks; absent where there are none. */
    metrics?: Record<string, { sum: number; steps: number }>;
  };
  /** The best weights so far: the figure that they were chosen by, and those of boxes and of any masks. */
  best: (Figures & { figure: number; epoch: number; masks?: Figures }) | null;
  earlyStopping: EarlyStoppingState;
  /** State of the gradient scaler; null where there is none. */
  scaler: ScalerState | null;
  /** Absent in checkpoints of runs that never went back after a fault. */
  rollbacks?: Rollbacks;
  faults: FaultCounts;
  /** Absent in checkpoints of runs without callbacks. */
  callbacks?: SavedCallbacks;
  finished: boolean;
}

/** What the callbacks of a run have done and remember. */
export interface SavedCallbacks {
  /** By the names of the callbacks. */
  states: Record<string, JsonValue>;
  lrFactors: Record<string, number>;
  /** Why one of them ended the run; null where none did. */
  stopped: string | null;
}

/** Faulty steps, as counted to decide about the next. */
export interface FaultCounts {
  /** Steps in a row that changed nothing. */
  wasted: number;
  /** Faulty steps that were run again to find where they began. */
  replays: number;
  /** The first faulty step; null where there was none. */
  since: number | null;
}

/** What rollbacks have changed so far. */
export interface Rollbacks {
  /** Since the last epoch that ended. */
  inEpoch: number;
  /** Steps that were undone; they do not count towards the length of the run. */
  undone: number;
  /** Factor of all learning rates. */
  lrFactor: number;
}

/** The tensors of a checkpoint. */
export interface CheckpointTensors {
  /** Weights as trained. */
  model: Map<string, Tensor>;
  /** The averaged weights; null without an average. */
  ema: { tensors: Map<string, Tensor>; updates: number } | null;
  optimizer: optim.AdamWState;
}

interface StateFile {
  layout: number;
  progress: SavedProgress;
  optimizerStep: number;
  emaUpdates: number | null;
  /** The settings that the run had, by their names in files. */
  settings: Record<string, unknown>;
}

/**
 * Writes a checkpoint folder and reads it back. The one before it stays as `checkpoint.previous`.
 * @throws RunDirectoryError
 */
export function saveCheckpoint(
  folder: string,
  progress: SavedProgress,
  { model, ema, optimizer }: CheckpointTensors,
  settings: Record<string, unknown>,
): void {
  replaceFolder(folder, (temporary) => {
    const sums = new Checksums();
    const save = (name: string, tensors: Map<string, Tensor>): void =>
      saveSafetensors(join(temporary, name), tensors, {}, sums.adder(name));
    save("model.safetensors", model);
    if (ema !== null) save("ema.safetensors", ema.tensors);
    save("optimizer.safetensors", momentTensors(optimizer));
    const emaUpdates = ema?.updates ?? null;
    const state: StateFile = { layout, progress, optimizerStep: optimizer.step, emaUpdates, settings };
    const text = JSON.stringify(state);
    sums.adder("state.json")(Buffer.from(text));
    writeSynced(join(temporary, "state.json"), text);
    writeSynced(join(temporary, sumsName), sums.text());
    const fault = faultOfSums(temporary);
    if (fault !== null)
      throw new RunDirectoryError(`The checkpoint ${folder} was written but reads back differently: ${fault}`, {
        hint: "Check the disk; the checkpoint before is still there",
      });
  });
}

function writeSynced(path: string, text: string): void {
  writeFileSync(path, text);
  syncFile(path);
}

/** The moments by their names in `optimizer.safetensors`; moments of 8 bits are codes with scales. */
export function momentTensors(state: optim.AdamWState): Map<string, Tensor> {
  const named = (name: string, tensors: readonly (Tensor | null)[] = []): [string, Tensor][] =>
    tensors.flatMap((tensor, i) => (tensor === null ? [] : [[`${name}.${i}`, tensor]]));
  return new Map([
    ...named("exp_avg", state.expAvg),
    ...named("exp_avg_sq", state.expAvgSq),
    ...named("exp_avg_scale", state.expAvgScale),
    ...named("exp_avg_sq_scale", state.expAvgSqScale),
  ]);
}

/**
 * Reads every byte of the run's checkpoint. One that is damaged is put aside as `checkpoint.damaged`, and the one
 * before takes its place.
 * @returns the progress and the settings of the checkpoint, and what to tell the user; null where all is well
 * @throws CheckpointError when both are damaged
 */
export function soundCheckpoint(folder: string): Pick<StateFile, "progress" | "settings"> & { warning: string | null } {
  const fault = faultOf(folder);
  if (fault === null) return { ...positionIn(folder), warning: null };
  const previous = folder + previousSuffix;
  const second = existsSync(previous) ? faultOf(previous) : "there is none";
  if (second !== null)
    throw new CheckpointError(`The checkpoint ${folder} cannot be used: ${fault}; nor the one before it: ${second}`);
  const aside = `${folder}.damaged`;
  try {
    rmSync(aside, { recursive: true, force: true });
    renameSync(folder, aside);
    renameSync(previous, folder);
  } catch (error) {
    throw writeFailure(folder, error);
  }
  const position = positionIn(folder);
  return {
    ...position,
    warning: `The last checkpoint cannot be used: ${fault}. The run continues from the one before, of step ${position.progress.step}; the damaged one is kept in ${aside}`,
  };
}

/** What is wrong with a checkpoint, in words that name the file; null where nothing is. */
function faultOf(folder: string): string | null {
  try {
    readState(folder);
    return faultOfSums(folder);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    return error.message;
  }
}

function positionIn(folder: string): Pick<StateFile, "progress" | "settings"> {
  const { progress, settings } = readState(folder);
  return { progress, settings };
}

/** Reads the progress of a checkpoint without its tensors. @throws CheckpointError */
export function readProgress(folder: string): SavedProgress {
  return readState(folder).progress;
}

function readState(folder: string): StateFile {
  const path = join(folder, "state.json");
  const state = readJson(path, (message, cause) => new CheckpointError(message, { cause }));
  const found = (state as Partial<StateFile> | null)?.layout;
  if (found !== layout)
    throw new CheckpointError(
      `Expected a checkpoint of layout ${layout} in ${path} but received ${shown(found)}: it was written by another version`,
    );
  const wrong = faultOfState(state);
  if (wrong !== null) throw new CheckpointError(`${wrong} in ${path}`);
  return state as StateFile;
}

/** Reads a checkpoint folder. The tensors live until disposed. @throws CheckpointError */
export function loadCheckpoint(folder: string): { progress: SavedProgress } & CheckpointTensors {
  const { progress, optimizerStep, emaUpdates } = readState(folder);
  const loaded: Tensor[] = [];
  const read = (name: string): Map<string, Tensor> => {
    const { tensors } = loadSafetensors(join(folder, name));
    loaded.push(...tensors.values());
    return tensors;
  };
  try {
    const stored = read("optimizer.safetensors");
    const list = (name: string): Tensor[] => {
      const tensors: Tensor[] = [];
      for (let i = 0; ; i++) {
        const tensor = stored.get(`${name}.${i}`);
        if (tensor === undefined) return tensors;
        tensors.push(tensor);
      }
    };
    const [expAvg, expAvgSq] = [list("exp_avg"), list("exp_avg_sq")];
    const optimizer: optim.AdamWState = {
      step: optimizerStep,
      expAvg,
      expAvgSq,
      expAvgScale: expAvg.map((_, i) => stored.get(`exp_avg_scale.${i}`) ?? null),
      expAvgSqScale: expAvgSq.map((_, i) => stored.get(`exp_avg_sq_scale.${i}`) ?? null),
    };
    return {
      progress,
      model: read("model.safetensors"),
      ema: emaUpdates === null ? null : { tensors: read("ema.safetensors"), updates: emaUpdates },
      optimizer,
    };
  } catch (error) {
    for (const tensor of loaded) tensor.dispose();
    if (error instanceof CheckpointError || !(error instanceof Error)) throw error;
    throw new CheckpointError(`The checkpoint ${folder} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}
