// A training run that leaves a report, however it ends.
import { TrainRun, type TrainRunOptions } from "../run/train-run.js";
import type { TrainSettings } from "../settings/settings.js";
import { reportOfEnd } from "./write-report.js";

/** Starts a run in a worker thread, as `TrainRun.start` does; at its end `report.html` is written into its folder. */
export function startReported(settings: TrainSettings | null, options: TrainRunOptions = {}): TrainRun {
  return TrainRun.start(settings, { ...options, left: reportOfEnd });
}
