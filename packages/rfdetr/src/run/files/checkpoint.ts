// The checkpoint folder: everything a resumed run needs to continue as if it had never stopped.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ScalerState } from "@rfdetr/amp";
import { loadSafetensors, saveSafetensors, type Tensor } from "@rfdetr/torch";
import { replaceFolder, syncFile } from "../../support/atomic.js";
import { CheckpointError } from "../../support/errors.js";
import { reasonOf } from "../../support/system-error.js";
import type { EarlyStoppingState } from "../../train/early-stopping.js";

/** Layout of the checkpoint folder; raised when older ones can no longer be read. */
const layout = 1;

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
  /** Sums over the steps of the epoch in progress. */
  epochSums: { loss: number; steps: number; images: number; seconds: number; terms: Record<string, number> };
  best: { figure: number; epoch: number; AP: number | null; AP50: number | null } | null;
  earlyStopping: EarlyStoppingState;
  /** State of the gradient scaler; null where there is none. */
  scaler: ScalerState | null;
  /** Absent in checkpoints of runs that never went back after a fault. */
  rollbacks?: Rollbacks;
  /** Absent in checkpoints of earlier versions. */
  faults?: FaultCounts;
  finished: boolean;
}

/** Faulty steps, as counted to decide about the next. */
export interface FaultCounts {
  /** Steps in a row that changed nothing. */
  wasted: number;
  /** Faulty steps that were run again to find where they began. */
  replays: number;
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
  optimizer: { step: number; expAvg: Tensor[]; expAvgSq: Tensor[] };
  /** State of the default generator. */
  rng: Tensor;
}

interface StateFile {
  layout: number;
  progress: SavedProgress;
  optimizerStep: number;
  emaUpdates: number | null;
}

/** Writes a checkpoint folder; the one before it stays until the new one is whole. @throws RunDirectoryError */
export function saveCheckpoint(
  folder: string,
  progress: SavedProgress,
  { model, ema, optimizer, rng }: CheckpointTensors,
): void {
  replaceFolder(folder, (temporary) => {
    saveSafetensors(join(temporary, "model.safetensors"), model);
    if (ema !== null) saveSafetensors(join(temporary, "ema.safetensors"), ema.tensors);
    saveSafetensors(join(temporary, "optimizer.safetensors"), moments(optimizer));
    saveSafetensors(join(temporary, "rng.safetensors"), { cpu: rng });
    const state: StateFile = { layout, progress, optimizerStep: optimizer.step, emaUpdates: ema?.updates ?? null };
    const path = join(temporary, "state.json");
    writeFileSync(path, JSON.stringify(state));
    syncFile(path);
  });
}

function moments({ expAvg, expAvgSq }: CheckpointTensors["optimizer"]): Map<string, Tensor> {
  return new Map([
    ...expAvg.map((tensor, i) => [`exp_avg.${i}`, tensor] as const),
    ...expAvgSq.map((tensor, i) => [`exp_avg_sq.${i}`, tensor] as const),
  ]);
}

/** Reads the progress of a checkpoint without its tensors. @throws CheckpointError */
export function readProgress(folder: string): SavedProgress {
  return readState(folder).progress;
}

function readState(folder: string): StateFile {
  const path = join(folder, "state.json");
  let state: StateFile;
  try {
    state = JSON.parse(readFileSync(path, "utf8")) as StateFile;
  } catch (error) {
    throw new CheckpointError(`The checkpoint ${folder} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  if (state.layout !== layout)
    throw new CheckpointError(
      `Expected a checkpoint of layout ${layout} in ${folder} but received ${state.layout}: it was written by another version`,
    );
  return state;
}

/** Reads a checkpoint folder. The tensors live until disposed. @throws CheckpointError */
export function loadCheckpoint(folder: string): { progress: SavedProgress } & CheckpointTensors {
  const { progress, optimizerStep, emaUpdates } = readState(folder);
  const read = (name: string) => loadSafetensors(join(folder, name)).tensors;
  const stored = read("optimizer.safetensors");
  const list = (name: string) => {
    const tensors: Tensor[] = [];
    for (let i = 0; ; i++) {
      const tensor = stored.get(`${name}.${i}`);
      if (tensor === undefined) return tensors;
      tensors.push(tensor);
    }
  };
  const rng = read("rng.safetensors").get("cpu");
  if (rng === undefined) throw new CheckpointError(`The checkpoint ${folder} has no generator state`);
  return {
    progress,
    model: read("model.safetensors"),
    ema: emaUpdates === null ? null : { tensors: read("ema.safetensors"), updates: emaUpdates },
    optimizer: { step: optimizerStep, expAvg: list("exp_avg"), expAvgSq: list("exp_avg_sq") },
    rng,
  };
}
