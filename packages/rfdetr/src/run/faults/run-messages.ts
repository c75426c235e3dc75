// What a run that went wrong says: what, since when, and what to do.
import { existsSync } from "node:fs";
import { addHint, CheckpointError, NumericsError, RfdetrError } from "../../support/errors.js";
import { agreeing, counted, shellWord } from "../../support/format.js";
import type { SavedProgress } from "../files/checkpoint/checkpoint.js";
import type { Session } from "../session/session.js";
import { someOf } from "./repair-state.js";

/** What to do about a run that diverges, the most likely remedy first. */
export const remedy =
  "Lower `lr`, train with `precision` bf16-mixed or 32-true, or clip gradients with a smaller `clip_max_norm`";

/**
 * An evaluation had detections that are not finite.
 * @param since the first step that was at fault, or null where none was
 */
export function divergence(bad: number, detections: number, step: number, since: number | null): string {
  const when = since === null ? `by step ${step}` : `at step ${since}`;
  return `${bad} of ${counted(detections, "detection")} ${agreeing(bad, "was not finite and counts", "were not finite and count")} as none: the run diverged ${when}. ${remedy}. Weights that were saved before stay`;
}

/** Most steps of a run were skipped; null for any other run. */
export function mostlySkipped(
  { step, skipped }: Pick<SavedProgress, "step" | "skipped">,
  since: number | null,
): string | null {
  if (skipped * 2 <= step) return null;
  const share = Math.round((100 * skipped) / step);
  const when = since === null ? "" : `, the first at step ${since}`;
  return `${skipped} of ${counted(step, "step")} (${share} %) ${agreeing(skipped, "was", "were")} skipped because the loss or a gradient was not finite${when}: the run hardly trains. ${remedy}`;
}

/** A run ends without a result: no step changed the weights, or they diverged before any were saved. */
export function withoutResult({ step, applied }: SavedProgress, since: number | null): NumericsError {
  const when = since === null ? "" : ` since step ${since}`;
  return new NumericsError(
    applied === 0
      ? `None of the ${step} steps changed the weights: the loss or a gradient was not finite${when}`
      : `The run diverged before it had weights to keep: the loss, a gradient or the detections were not finite${when}`,
    { hint: `${remedy}. numerics.jsonl shows where it began` },
  );
}

/**
 * Weights are not finite, and no finite copy of them is left.
 * @param savedStep the step of the last checkpoint
 */
export function lostWeights({ progress, directory }: Session, names: string[], savedStep: number): RfdetrError {
  const what = someOf(names);
  if (progress.step > savedStep)
    return new NumericsError(
      `The weights ${what} are not finite, first seen after step ${progress.step}, and no finite copy is left: the run diverged`,
      { hint: remedy },
    );
  return new CheckpointError(`The weights ${what} of the checkpoint ${directory.checkpoint} are not finite`, {
    hint: `Start a new run from \`weights\` ${directory.best}: the checkpoint was damaged`,
  });
}

/** Why a run has no best weights; null where it has, or where what was said before tells it. */
export function whyNoBest({ settings, progress }: Session, diverged: boolean): string | null {
  const last = "weights/last.safetensors holds those of the last epoch";
  if (progress.best !== null) return null;
  if (progress.epoch <= settings.skipBestEpochs)
    return `There are no best weights, because skip_best_epochs (${settings.skipBestEpochs}) leaves out every epoch of this run: ${last}`;
  return !diverged ? null : `There are no best weights, because the run diverged: ${last}. ${remedy}`;
}

/** Why `run_test` cannot run; null where it can. */
export function whyNoTest({ data, progress }: Session): string | null {
  if (data.testImages === 0) return "run_test did not run: the dataset has no test split";
  return progress.best === null ? "run_test did not run: there are no best weights to score" : null;
}

/** A step was not finite, and `on_non_finite` is stop. */
export function stopped(message: string): NumericsError {
  return new NumericsError(
    `${message}. Training stops because on_non_finite is stop. numerics.jsonl shows the steps that led there`,
  );
}

/** A step was not finite again, and the run has gone back as often as it may. */
export function wentBackInVain(message: string, tries: number): NumericsError {
  return new NumericsError(
    `${message}, after going back ${tries} times in this epoch and lowering the learning rate each time`,
    { hint: `${remedy}. numerics.jsonl shows where it began` },
  );
}

/** Codes of failures whose cause is outside the run: it can be resumed once the cause is fixed. */
const resumable = new Set([
  "ERR_DATA",
  "ERR_RUN_DIRECTORY",
  "ERR_NUMERICS",
  "ERR_DISTRIBUTED",
  "ERR_RANK",
  "ERR_CUSTOM_CODE",
]);

/** Adds to what a run failed with how to continue it, where it can be. @param savedStep the step of its checkpoint */
export function withAdvice(error: unknown, { progress, directory }: Session, savedStep: number): unknown {
  if (!RfdetrError.is(error) || !resumable.has(error.code) || !existsSync(directory.checkpoint)) return error;
  return addHint(
    error,
    `The run stopped after step ${progress.step}; its checkpoint is of step ${savedStep}. Fix the cause, then continue it with \`resume\` ${shellWord(directory.path)}`,
  );
}
