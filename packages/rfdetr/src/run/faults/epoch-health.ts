// Whether the weights of an epoch, and a run at its end, are fit for use; and the words where they are not.
import { existsSync } from "node:fs";
import type { WarningEvent } from "../events/events.js";
import type { SavedProgress } from "../files/checkpoint/checkpoint.js";
import { mustExist } from "../files/folder-checks.js";
import type { Session } from "../session/session.js";
import type { EpochFigures } from "../steps/scheduled-evaluation.js";
import type { FaultJudge } from "./fault-policy.js";
import { divergence, mostlySkipped, withoutResult } from "./run-messages.js";
import type { StateKeeper } from "./state-keeper.js";

/** The share of detections that may overflow, as in float16, before the weights count as diverged. */
const fewDetections = 0.01;

/** Judges the epochs of a run. */
export class EpochHealth {
  /** Whether the last evaluation had more than a few detections that are not finite. */
  diverged = false;
  #saidSkipped = false;
  /** Whether weights were saved. */
  #saved: boolean;
  /** Best weights whose file was not there when the run was resumed. */
  readonly #lostBest: SavedProgress["best"];

  constructor(
    readonly session: Session,
    readonly state: StateKeeper,
    readonly faults: FaultJudge,
  ) {
    const { directory, progress } = session;
    this.#saved = existsSync(directory.last);
    this.#lostBest = existsSync(directory.best) ? null : progress.best;
  }

  /**
   * Whether the weights of an epoch may take the place of those saved before: not when they diverged, when no step has
   * changed them, or when the run may go back behind them. Says what is wrong.
   */
  *usable({ summary, nonFinite }: EpochFigures): Generator<WarningEvent, boolean> {
    const { progress, settings } = this.session;
    const { since } = this.faults;
    if (summary !== null) {
      const all = nonFinite + summary.detections;
      this.diverged = nonFinite > fewDetections * all;
      if (nonFinite > 0) yield { type: "warning", message: divergence(nonFinite, all, progress.step, since) };
    }
    const skipped = this.#saidSkipped ? null : mostlySkipped(progress, since);
    if (skipped !== null) yield { type: "warning", message: skipped };
    this.#saidSkipped ||= skipped !== null;
    const goesBack = settings.onNonFinite === "rollback" && !this.state.healthy;
    const usable = progress.applied > 0 && !this.diverged && !goesBack;
    this.#saved ||= usable;
    return usable;
  }

  /** @throws NumericsError for a run that ends without a result, RunDirectoryError where its weights were removed */
  mustHaveTrained(): void {
    const { progress, directory } = this.session;
    if (progress.step === 0) return;
    if (progress.applied === 0 || !(this.#saved || existsSync(directory.last)))
      throw withoutResult(progress, this.faults.since);
    const hasBest = progress.best !== null && progress.best !== this.#lostBest;
    mustExist([directory.path, ...(hasBest ? [directory.best] : []), directory.last]);
  }
}
