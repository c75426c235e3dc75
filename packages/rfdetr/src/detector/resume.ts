// Runs that are continued.
import type { GivenData } from "../data/custom/data-path.js";
import { startReported } from "../report/reported-run.js";
import { readRankPlace } from "../run/launch/rank-place.js";
import type { TrainRun } from "../run/train-run.js";
import { abortSignal, checkOptions, count, countOrZero, oneOf, positive, text } from "../support/options.js";
import { type CallbacksModule, callbacksGiven, moduleFile } from "./callbacks-option.js";
import { anyData, dataGiven } from "./data-option.js";

/** What may change when a run is continued. */
export interface ResumeOptions {
  /** New place of the run's data, or other data in the forms that `train` takes. Their classes may not have changed. */
  data?: string | GivenData;
  /** More epochs than the run had. */
  epochs?: number;
  maxSteps?: number;
  /** Seconds that the run may take, with those that it has taken. */
  timeBudget?: number;
  lr?: number;
  lrEncoder?: number;
  /** Keeps the optimizer's moments otherwise than before; those of the checkpoint are converted. */
  optimizerState?: "float32" | "8bit";
  /** Another module of callbacks, by its path or URL, or null for none. */
  callbacks?: CallbacksModule | null;
  /** Processes of this machine to train with; default: as many as the run was begun with. */
  processes?: number;
  /** How often all processes start anew from the last checkpoint when one of them is lost; default 0. */
  maxRestarts?: number;
  /** Stops the run, as `stop()` does. */
  signal?: AbortSignal;
}

const resumeOptions = {
  data: anyData,
  epochs: count,
  maxSteps: count,
  timeBudget: positive,
  lr: positive,
  lrEncoder: positive,
  optimizerState: oneOf("float32", "8bit"),
  processes: count,
  maxRestarts: countOrZero,
  callbacks: moduleFile,
  signal: abortSignal,
};

/**
 * Continues a run in a worker thread, from its last checkpoint.
 * @param run folder of the run
 * @throws UsageError for an option that a continued run does not have
 * @throws RunDirectoryError if the folder is not that of a run
 */
export async function resumeTraining(run: string, options: ResumeOptions): Promise<TrainRun> {
  checkOptions("RFDETR.resume", { run }, { run: text }, ["run"]);
  checkOptions("RFDETR.resume", options, resumeOptions);
  const { resumeConfig } = await import("../run/session/resume.js");
  const { data, signal, processes, maxRestarts, callbacks, ...settings } = options;
  const named = typeof data === "string" ? { datasetDir: data } : {};
  const changes = { ...settings, ...callbacksGiven(callbacks), ...named };
  // Other ranks take the settings of rank 0, which has the folder.
  const isOther = (readRankPlace(process.env, 1, processes)?.place.rank ?? 0) > 0;
  return startReported(isOther ? null : resumeConfig(run), {
    resume: run,
    changes,
    ...dataGiven(data),
    ...(processes === undefined ? {} : { processes }),
    ...(maxRestarts === undefined ? {} : { maxRestarts }),
    ...(signal === undefined ? {} : { signal }),
  });
}
