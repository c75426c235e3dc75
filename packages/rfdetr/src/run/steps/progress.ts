// Where a run is: counts, and the sums and means of the epoch in progress.

import type { StepResult } from "../../train/step/step.js";
import type { FaultCounts, Rollbacks, SavedProgress } from "../files/checkpoint/checkpoint.js";
import type { Session } from "../session/session.js";

/** The state of a run that never went back. */
export const noRollbacks: Rollbacks = { inEpoch: 0, undone: 0, lrFactor: 1 };

/** The counts of a run without a faulty step. */
const noFaults: FaultCounts = { wasted: 0, replays: 0, since: null };

/** The state of a run that has not taken a step. */
export function initialProgress(): SavedProgress {
  return {
    epoch: 0,
    stepInEpoch: 0,
    step: 0,
    applied: 0,
    skipped: 0,
    trainSeconds: 0,
    epochSums: emptySums(),
    best: null,
    earlyStopping: { best: -1, waited: 0 },
    scaler: null,
    faults: noFaults,
    finished: false,
  };
}

/** The sums of an epoch that has not taken a step. */
export function emptySums(): SavedProgress["epochSums"] {
  return { loss: 0, steps: 0, images: 0, seconds: 0, terms: {}, norms: { sum: 0, steps: 0 } };
}

/** Adds a step. A loss that is not finite does not enter the means. @param seconds time since the step before */
export function addStep(progress: SavedProgress, result: StepResult, images: number, seconds: number): void {
  progress.step++;
  progress.stepInEpoch++;
  progress.trainSeconds += seconds;
  const sums = progress.epochSums;
  if (result.applied) {
    progress.applied++;
    sums.norms.sum += result.gradNorm;
    sums.norms.steps++;
  } else progress.skipped++;
  sums.images += images;
  sums.seconds += seconds;
  if (!Number.isFinite(result.loss)) return;
  sums.steps++;
  sums.loss += result.loss;
  for (const [name, value] of compactTerms(result.terms)) sums.terms[name] = (sums.terms[name] ?? 0) + value;
}

/** Adds figures that callbacks have of a step; one that is not finite does not enter the means. */
export function addMetrics({ epochSums }: SavedProgress, metrics: Readonly<Record<string, number>>): void {
  epochSums.metrics ??= {};
  for (const [name, value] of Object.entries(metrics)) {
    const { sum, steps } = epochSums.metrics[name] ?? { sum: 0, steps: 0 };
    epochSums.metrics[name] = Number.isFinite(value) ? { sum: sum + value, steps: steps + 1 } : { sum, steps };
  }
}

/** Means over the epoch of what callbacks answered for its steps. */
export function metricMeans({ metrics = {} }: SavedProgress["epochSums"]): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, { sum, steps }]) => [name, sum / steps]));
}

/**
 * The loss terms: those of the last decoder layer by name, those of all other layers and of the encoder summed as
 * `*_aux`.
 */
export function* compactTerms(terms: ReadonlyMap<string, number>): Generator<[string, number]> {
  const auxiliary = new Map<string, number>();
  for (const [name, value] of terms) {
    const match = /^(loss_[a-z_]+)_(\d+|enc)$/.exec(name);
    if (match !== null) auxiliary.set(`${match[1]}_aux`, (auxiliary.get(`${match[1]}_aux`) ?? 0) + value);
    else if (name.startsWith("loss_")) yield [name, value];
  }
  yield* auxiliary;
}

/** What the learning rates of the schedule are multiplied by: after faults, and where callbacks ask for it. */
export function lrFactorOf({ progress, callbacks }: Pick<Session, "progress" | "callbacks">): number {
  return (progress.rollbacks?.lrFactor ?? 1) * (callbacks?.lrFactor ?? 1);
}

/** Steps until a run ends by their number; those that were undone do not count. */
export function stepsLeft({ progress, totalSteps }: { progress: SavedProgress; totalSteps: number }): number {
  return totalSteps - progress.step + (progress.rollbacks?.undone ?? 0);
}

/** Means over the epoch's steps; a loss of NaN where no step had a finite loss. */
export function epochMeans({ loss, steps, terms }: SavedProgress["epochSums"]): {
  loss: number;
  terms: Record<string, number>;
} {
  if (steps === 0) return { loss: Number.NaN, terms: {} };
  return {
    loss: loss / steps,
    terms: Object.fromEntries(Object.entries(terms).map(([name, value]) => [name, value / steps])),
  };
}
