// A run that has ended and is asked to continue.
import { existsSync } from "node:fs";
import { readProgress } from "../files/checkpoint.js";
import type { DoneEvent } from "../files/events.js";
import { RunDirectory } from "../files/run-directory.js";
import { doneEvent, writtenSummary } from "../make-events.js";
import type { TrainRequest } from "../train-run.js";
import { trainsOn } from "./resume.js";

/**
 * The last event of a run that has ended, with everything written, and has nothing to train; null for every other.
 * Needs neither the data nor the model.
 * @throws RunDirectoryError when the folder is not that of a run, or while another process holds it
 * @throws ConfigError when the changes ask for less than is done
 */
export function endedRun({ settings, resume, changes = {} }: TrainRequest): DoneEvent | null {
  if (resume === null) return null;
  const directory = RunDirectory.open(resume);
  try {
    if (!existsSync(directory.checkpoint)) return null;
    const progress = readProgress(directory.checkpoint);
    const summary = writtenSummary({ directory, progress });
    if (!progress.finished || summary === null || trainsOn(progress, settings, changes)) return null;
    if (settings.runTest && progress.best !== null && !existsSync(directory.file("test.json"))) return null;
    return doneEvent({ directory, progress }, summary, true);
  } finally {
    directory.release();
  }
}
