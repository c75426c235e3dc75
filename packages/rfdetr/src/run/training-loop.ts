// The training loop: epochs of steps, evaluation, checkpoints; a stream of events. What is written down is the
// recorders' work.
import { existsSync } from "node:fs";
import type { ClassSummary } from "../eval/coco/coco-summary.js";
import type { Explanation } from "../eval/details/evaluation-details.js";
import { RfdetrError } from "../support/errors.js";
import { EarlyStopping } from "../train/schedule/early-stopping.js";
import { RunControl } from "./control/run-control.js";
import { nextImages } from "./custom-code.js";
import type { DoneEvent, TrainEvent } from "./events/events.js";
import { doneEvent, maskFigures, reasonOfEnd, runSummary, startEvent, writtenSummary } from "./events/make-events.js";
import { EpochHealth } from "./faults/epoch-health.js";
import { FaultJudge } from "./faults/fault-policy.js";
import { mostlySkipped, whyNoBest, whyNoTest, withAdvice } from "./faults/run-messages.js";
import { StateKeeper } from "./faults/state-keeper.js";
import type { SavedProgress } from "./files/checkpoint/checkpoint.js";
import { drawPictures } from "./recorders/draw-pictures.js";
import type { Recorder } from "./recorders/recorder.js";
import type { Session } from "./session/session.js";
import { EpochEnd, type StopReason } from "./steps/epoch-end.js";
import { Notices } from "./steps/notices.js";
import { addMetrics, stepsLeft } from "./steps/progress.js";
import { evaluateTest } from "./steps/scheduled-evaluation.js";
import { StepMaker } from "./steps/step-maker.js";

/** The loop of one run: epochs of steps, each with its end; then the test split and the summary. */
export class TrainingLoop {
  readonly #progress: SavedProgress;
  readonly #faults: FaultJudge;
  readonly #steps: StepMaker;
  readonly #state: StateKeeper;
  readonly #health: EpochHealth;
  readonly #control: RunControl;
  readonly #notices: Notices;
  readonly #epochEnd: EpochEnd;

  constructor(
    readonly session: Session,
    readonly recorders: readonly Recorder[],
    interrupted: () => boolean,
  ) {
    const { settings, progress } = session;
    this.#progress = progress;
    session.waits.end(interrupted);
    this.#faults = new FaultJudge(settings.onNonFinite, progress.faults);
    this.#state = new StateKeeper(session, this.#faults);
    this.#health = new EpochHealth(session, this.#state, this.#faults);
    this.#control = new RunControl(session, { recorders, interrupted, save: () => this.#state.checkpoint() });
    this.#notices = new Notices(session);
    const stopping = settings.earlyStopping
      ? new EarlyStopping(settings.earlyStoppingPatience, settings.earlyStoppingMinDelta)
      : null;
    stopping?.load(progress.earlyStopping);
    const shared = { session, recorders, state: this.#state, stopping };
    this.#steps = new StepMaker({ ...shared, faults: this.#faults });
    const [health, steps, control, notices] = [this.#health, this.#steps, this.#control, this.#notices];
    this.#epochEnd = new EpochEnd({ ...shared, health, steps, control, notices });
  }

  close(): void {
    this.#control.close();
    this.#steps.close();
    for (const recorder of this.recorders) recorder.close?.();
  }

  run(): AsyncGenerator<TrainEvent> {
    return this.session.waits.among(this.#heard());
  }

  async *#heard(): AsyncGenerator<TrainEvent> {
    for await (const event of this.#run()) {
      if (event.type === "checkpoint") await this.session.callbacks?.checkpoint(event);
      yield event;
    }
  }

  async *#run(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    const { settings, callbacks } = session;
    const progress = this.#progress;
    const start = startEvent(session);
    yield start;
    for (const message of session.notes) yield { type: "note", message };
    yield* this.#notices.warnings();
    if (progress.finished) {
      if (settings.runTest && !existsSync(session.directory.file("test.json"))) yield* this.#test();
      return yield this.#endedBefore();
    }
    progress.scaler = session.parts.scaler.enabled ? session.parts.scaler.stateDict() : null;
    await callbacks?.runStart(start);
    // A kill in the first epoch must not be the end of the run, and a rollback needs a state to go back to.
    if (progress.step === 0) yield* this.#state.checkpoint();
    else yield* this.#state.repair();
    let reason: StopReason | null = null;
    while (reason === null && progress.epoch < settings.epochs) {
      const steps = yield* this.#epoch();
      if (steps === "rolled back") continue;
      reason = steps === "interrupted" ? steps : yield* this.#epochEnd.take();
      yield* this.#control.told();
      yield* this.#control.obeyCallbacks(reason !== null);
      if (reason === "interrupted") yield* this.#keepLast();
      else if (reason !== null) this.#health.mustHaveTrained();
      progress.finished = reason !== null && reason !== "interrupted";
      yield* this.#state.checkpoint();
    }
    if (reason !== "interrupted") yield* this.#conclude();
    const done = this.#done(reason ?? "finished");
    await drawPictures(this.recorders);
    await callbacks?.runEnd(done.summary);
    yield* this.#notices.warnings();
    yield done;
  }

  /** What remains to be done and said at the end of a run that was not interrupted. */
  async *#conclude(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    this.#health.mustHaveTrained();
    const skipped = mostlySkipped(session.progress, this.#faults.since);
    for (const message of [skipped, whyNoBest(session, this.#state.diverged)])
      if (message !== null) yield { type: "warning", message };
    if (session.settings.runTest) yield* this.#test();
    this.#health.mustHaveTrained();
  }

  /** Saves the weights of a run that is stopped, unless it has diverged. */
  *#keepLast(): Generator<TrainEvent> {
    yield* this.#state.repair();
    if (!this.#state.diverged && !this.#health.diverged) for (const recorder of this.recorders) recorder.stopped?.();
  }

  /**
   * Takes the steps that are left of the epoch. After a rollback the data begins anew at the step that the run is at
   * again. A run that is to end does not wait for images, which may never come.
   */
  async *#epoch(): AsyncGenerator<TrainEvent, "complete" | "rolled back" | "interrupted"> {
    const { data, stepsPerEpoch, settings, callbacks, waits } = this.session;
    const progress = this.#progress;
    if (callbacks !== null && progress.stepInEpoch === 0) {
      const { epoch, step } = progress;
      addMetrics(progress, await callbacks.epochStart({ epoch: epoch + 1, epochs: settings.epochs, step }));
      yield* this.#control.obeyCallbacks();
      if (callbacks.stopped !== null) return "complete";
    }
    this.#steps.begin();
    this.session.leader.order({ do: "epoch", epoch: progress.epoch, from: progress.stepInEpoch });
    const steps = data.steps(progress.epoch, progress.stepInEpoch);
    let isLeft = false;
    // Callbacks that heard of the start of the epoch must have a step of it before a checkpoint has their state.
    const isOver = (): boolean => {
      isLeft = (callbacks === null || progress.stepInEpoch > 0) && this.#control.lookForStop();
      return isLeft;
    };
    for await (const microBatches of waits.each(nextImages(settings), steps, isOver)) {
      this.#steps.loaded();
      if (stepsLeft(this.session) <= 0) break;
      yield* this.#notices.leftOut();
      const rolledBack = yield* this.#steps.make(microBatches);
      if (await drawPictures(this.recorders)) this.#steps.begin();
      if (yield* this.#control.betweenSteps()) this.#steps.begin();
      if (rolledBack) return "rolled back";
      if (this.#control.stopping) return "interrupted";
      if (callbacks !== null && callbacks.stopped !== null) break;
      if (this.#state.age > settings.checkpointSeconds) yield* this.#state.checkpoint();
      if (progress.stepInEpoch >= stepsPerEpoch) break;
      this.#steps.asked();
    }
    return isLeft ? "interrupted" : "complete";
  }

  /** Scores the best weights on the test split. */
  async *#test(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    const why = whyNoTest(session);
    if (why !== null) return yield { type: "warning", message: why };
    const details = yield* evaluateTest(session, () => this.#control.lookForStop());
    if (details === null) return;
    for (const recorder of this.recorders) recorder.test?.(details);
    const perClass = classFigures(details);
    const ofMasks = details.masks && { ...details.masks, per_class: classFigures(details.masks) };
    const masks = session.modelConfig.segmentationHead ? { masks: maskFigures(ofMasks) } : {};
    yield { type: "test", ap: details.AP, ap50: details.AP50, perClass, ...masks };
  }

  #done(reason: StopReason, error: unknown = null): DoneEvent {
    const summary = runSummary(this.session, reason, error);
    for (const recorder of this.recorders) recorder.end?.(summary);
    return doneEvent(this.session, summary);
  }

  /** The end of a run that is resumed although nothing is left to do: its summary stays as it is, if it was written. */
  #endedBefore(): DoneEvent {
    const written = writtenSummary(this.session);
    return {
      ...(written === null ? this.#done(reasonOfEnd(this.session)) : doneEvent(this.session, written)),
      endedBefore: true,
    };
  }

  /**
   * Writes a summary that says so, and after a fault in the data or the loss of another process weights and a
   * checkpoint, so that nothing is lost.
   * @returns the error to throw: the same, with a hint where the run can be resumed
   */
  fail(error: unknown): unknown {
    try {
      const { summary } = this.#done("failed", error);
      // What it throws now would hide the error that matters.
      this.session.callbacks?.runEnd(summary).catch(() => {});
      const outside = RfdetrError.is(error) && ["ERR_DATA", "ERR_DISTRIBUTED", "ERR_RANK"].includes(error.code);
      if (outside && this.#steps.settled && !this.#progress.finished)
        for (const _ of [...this.#keepLast(), ...this.#state.checkpoint()]);
    } catch {
      // On a full disk this fails too; the error that matters is thrown by the caller.
    }
    return withAdvice(error, this.session, this.#state.savedStep);
  }
}

/** The figures of the classes without what explains them. */
const classFigures = ({ per_class: classes }: Explanation): ClassSummary[] =>
  classes.map(({ best, errors, ...figures }) => figures);
