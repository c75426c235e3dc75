// A run that has ended and is asked to continue.
import { existsSync } from "node:fs";
import { CheckpointError } from "../../support/errors.js";
import type { DoneEvent } from "../events/events.js";
import { doneEvent, writtenSummary } from "../events/make-events.js";
import { readProgress, type SavedProgress } from "../files/checkpoint/checkpoint.js";
import type { RunDirectory } from "../files/run-directory.js";
import type { TrainRequest } from "../thread/train-request.js";
import { trainsOn } from "./resume.js";

/**
 * The last event of a run that has ended, with everything written, and has nothing to train; null for every other.
 * Needs neither the data nor the model.
 * @throws ConfigError when the changes ask for less than is done
 */
export function endedRun(directory: RunDirectory, { settings, changes = {} }: TrainRequest): DoneEvent | null {
  if (!existsSync(directory.checkpoint)) return null;
  const progress = soundProgress(directory);
  const summary = progress?.finished ? writtenSummary({ directory, progress }) : null;
  if (progress === null || summary === null || trainsOn(progress, settings, changes)) return null;
  if (settings.runTest && progress.best !== null && !existsSync(directory.file("test.json"))) return null;
  return { ...doneEvent({ directory, progress }, summary), endedBefore: true };
}

/** @returns null for a checkpoint that is damaged, which is dealt with elsewhere */
function soundProgress(directory: RunDirectory): SavedProgress | null {
  try {
    return readProgress(directory.checkpoint);
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
}
