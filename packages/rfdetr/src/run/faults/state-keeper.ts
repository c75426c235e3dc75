// Keeps the state of a run: repairs what is not finite in it, and replaces the checkpoint by a good state only.

import type { CheckpointEvent, WarningEvent } from "../events/events.js";
import type { Session } from "../session/session.js";
import { rollBack, saveSession } from "../session/session-state.js";
import type { FaultJudge } from "./fault-policy.js";
import { repairState } from "./repair-state.js";
import { RunHealth } from "./run-health.js";
import { lostWeights } from "./run-messages.js";

/** The checkpoints of a run, and whether its state is good enough for one. */
export class StateKeeper {
  /** The step of the last checkpoint. */
  savedStep: number;
  readonly #health = new RunHealth();
  #savedAt = performance.now();
  #told = false;

  constructor(
    readonly session: Session,
    readonly faults: FaultJudge,
  ) {
    this.savedStep = session.progress.step;
  }

  /** Seconds since the last checkpoint. */
  get age(): number {
    return (performance.now() - this.#savedAt) / 1000;
  }

  /** Whether losses and weights are those of a run that goes well. */
  get healthy(): boolean {
    return this.#health.good;
  }

  /** Whether losses or weights have certainly exploded. */
  get diverged(): boolean {
    return this.#health.diverged;
  }

  /** Tells of the loss of a step, applied or not. */
  loss(value: number): void {
    this.#health.loss(value);
  }

  /**
   * Repairs what of the state is not finite, and says so.
   * @throws NumericsError, or CheckpointError for a state that was read so, when a weight cannot be repaired
   */
  *repair(): Generator<WarningEvent> {
    const { repaired, lost, norm } = repairState(this.session);
    for (const message of repaired) yield { type: "warning", message };
    if (repaired.length > 0) this.session.leader.sendState(this.session);
    if (lost.length > 0) throw lostWeights(this.session, lost, this.savedStep);
    this.#health.weights(norm);
  }

  /**
   * Replaces the checkpoint. One to go back to (`on_non_finite` rollback) is not replaced by the state of a run that
   * does not go well, except at its end.
   */
  *checkpoint(): Generator<WarningEvent | CheckpointEvent> {
    const { settings, progress } = this.session;
    yield* this.repair();
    if (settings.onNonFinite !== "rollback" || this.healthy || progress.finished) return yield this.save();
    if (!this.#told)
      yield {
        type: "warning",
        message: `The loss or the weights grow far beyond what they were: the checkpoint of step ${this.savedStep} stays as the state to go back to`,
      };
    this.#told = true;
  }

  /** Replaces the checkpoint by the state as it is. */
  save(): CheckpointEvent {
    const { progress, directory } = this.session;
    progress.faults = this.faults.state();
    if (this.session.callbacks !== null) progress.callbacks = this.session.callbacks.saved();
    saveSession(this.session);
    this.#savedAt = performance.now();
    this.savedStep = progress.step;
    this.#health.kept();
    this.#told = false;
    return { type: "checkpoint", path: directory.checkpoint, step: progress.step };
  }

  /** Goes back to the last checkpoint. @returns the step whose state the run is in again */
  rollBack(): number {
    const to = rollBack(this.session);
    this.session.callbacks?.load(this.session.progress.callbacks);
    this.session.leader.sendState(this.session);
    this.#health.wentBack();
    return to;
  }
}
