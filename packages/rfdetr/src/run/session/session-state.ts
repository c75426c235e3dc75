// The state of a run, saved and restored: checkpoints, rollbacks, and the average in the model's place.
import { noGrad, scope } from "@rfdetr/torch";
import { CheckpointError, RfdetrError } from "../../support/errors.js";
import { loadMerged } from "../../train/parameters/lora.js";
import { readWeights } from "../../weights/weights.js";
import { loweredRate } from "../faults/fault-policy.js";
import { loadCheckpoint, momentTensors, type SavedProgress, saveCheckpoint } from "../files/checkpoint/checkpoint.js";
import { noRollbacks } from "../steps/progress.js";
import { comparedSettings } from "./run-config.js";
import type { Session } from "./session.js";

/** Continues from the run's checkpoint. The recorders drop what was written after it. */
export function restore(session: Session): void {
  const { parts, progress } = session;
  takeCheckpoint(session);
  if (progress.scaler !== null) parts.scaler.loadStateDict(progress.scaler);
}

/**
 * Restores weights, moments and average from the run's checkpoint. @returns the progress of that time
 * @throws CheckpointError when it cannot be read, or belongs to another model than config.json describes
 */
function takeCheckpoint({ directory, parts, ema }: Session): SavedProgress {
  const saved = loadCheckpoint(directory.checkpoint);
  try {
    if (ema !== null && saved.ema === null)
      throw new CheckpointError("The average of the weights, which use_ema asks for, is missing");
    parts.model.loadStateDict(saved.model);
    parts.optimizer.loadStateDict(saved.optimizer);
    if (ema !== null && saved.ema !== null) ema.load(saved.ema);
    return saved.progress;
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    throw new CheckpointError(
      `The checkpoint ${directory.checkpoint} does not fit what config.json describes: ${error.message}`,
      { cause: error },
    );
  } finally {
    for (const tensor of [
      ...saved.model.values(),
      ...momentTensors(saved.optimizer).values(),
      ...(saved.ema?.tensors.values() ?? []),
    ])
      tensor.dispose();
  }
}

/**
 * Goes back to the last checkpoint and lowers the learning rate and the loss scale. Weights, moments, average, schedule
 * and position in the data are restored. The count of steps is not, so that every record has its own number.
 * @returns the step whose state the run is in again
 */
export function rollBack(session: Session): number {
  const { progress, parts } = session;
  const saved = takeCheckpoint(session);
  const { inEpoch, undone, lrFactor } = progress.rollbacks ?? noRollbacks;
  const { step, skipped, trainSeconds, endSeconds } = progress;
  Object.assign(progress, saved, {
    step,
    skipped,
    trainSeconds,
    ...(endSeconds !== undefined && { endSeconds }),
    rollbacks: { inEpoch: inEpoch + 1, undone: undone + step - saved.step, lrFactor: loweredRate(lrFactor, inEpoch) },
  });
  if (progress.scaler !== null) {
    progress.scaler = { ...progress.scaler, scale: progress.scaler.scale / 2 };
    parts.scaler.loadStateDict(progress.scaler);
  }
  return saved.step;
}

/**
 * Writes everything a resume needs. A run that has ended keeps one checkpoint, one in progress two.
 * @throws RunDirectoryError
 */
export function saveSession({ directory, parts, ema, progress, settings, seed }: Session): void {
  scope(() => {
    const tensors = {
      model: parts.model.stateDict(),
      ema: ema === null ? null : ema.state(),
      optimizer: parts.optimizer.stateDict(),
    };
    // Those of later steps are no part of what the weights went through.
    const made = settings.precisionChanges.filter(({ step }) => step <= progress.step);
    const compared = comparedSettings({ ...settings, precisionChanges: made }, seed);
    saveCheckpoint(directory.checkpoint, progress, tensors, compared);
  });
  if (progress.finished) directory.removePreviousCheckpoint();
}

/** Puts the best weights into the model. Training is over: nothing puts the old ones back. */
export function useBest({ directory, parts }: Session): void {
  const { tensors } = readWeights(directory.best);
  loadMerged(parts.model, tensors);
  for (const tensor of tensors.values()) tensor.dispose();
}

/** Runs `body` with the averaged weights in the model, then restores the weights in training, bit for bit. */
export async function withAverage<T>(
  { parts, ema }: Pick<Session, "parts" | "ema">,
  body: () => Promise<T>,
): Promise<T> {
  if (ema === null) return await body();
  const { model } = parts;
  const own = new Map([...model.stateDict()].map(([key, tensor]) => [key, noGrad(() => tensor.clone())]));
  model.loadStateDict(ema.state().tensors);
  try {
    return await body();
  } finally {
    model.loadStateDict(own);
    for (const tensor of own.values()) tensor.dispose();
  }
}
