// The training loop: epochs of steps, evaluation, checkpoints; a stream of events. What is written down is the
// recorders' work.
import { existsSync } from "node:fs";
import { InternalError, RfdetrError } from "../support/errors.js";
import { EarlyStopping } from "../train/schedule/early-stopping.js";
import { RunControl } from "./control/run-control.js";
import { EpochHealth } from "./faults/epoch-health.js";
import { FaultJudge } from "./faults/fault-policy.js";
import { mostlySkipped, whyNoBest, whyNoTest, withAdvice } from "./faults/run-messages.js";
import { StateKeeper } from "./faults/state-keeper.js";
import type { SavedProgress } from "./files/checkpoint.js";
import type { DoneEvent, EpochEvent, TrainEvent } from "./files/events.js";
import { RunDirectory, type RunSummary } from "./files/run-directory.js";
import { logged } from "./files/run-log.js";
import { joinRun } from "./launch/join-run.js";
import { doneEvent, epochEvent, reasonOfEnd, runSummary, startEvent, writtenSummary } from "./make-events.js";
import { follow } from "./ranks/follower.js";
import { Ranks } from "./ranks/ranks.js";
import { leftOutOf, Team } from "./ranks/team.js";
import { drawPictures } from "./recorders/draw-pictures.js";
import { openRecorders } from "./recorders/open-recorders.js";
import type { Recorder } from "./recorders/recorder.js";
import { endedRun } from "./session/ended-run.js";
import { measurementsBefore, prepareRun } from "./session/prepare.js";
import type { Session } from "./session/session.js";
import type { OpenTrainData } from "./session/training-data.js";
import { judgeEpoch } from "./steps/best-weights.js";
import { addMetrics, emptySums, metricMeans, stepsLeft } from "./steps/progress.js";
import { type EpochFigures, evaluateEpoch, evaluateTest, notEvaluated } from "./steps/scheduled-evaluation.js";
import { StepMaker } from "./steps/step-maker.js";
import type { ThreadRequest, TrainRequest } from "./train-request.js";

type StopReason = RunSummary["stop_reason"];

/**
 * Trains in this thread. Ends with a `done` event. Of several processes, rank 0 alone has events; the others train
 * along until it lets them go.
 * @param asks see {@link joinRun}
 * @throws whatever the run failed with; the last checkpoint and the best weights stay as they are
 */
export async function* train(
  asked: ThreadRequest,
  openData: OpenTrainData,
  asks: (error: unknown) => void = () => {},
): AsyncGenerator<TrainEvent, void> {
  const { place = null } = asked;
  const joined = place === null ? null : joinRun({ ...asked, place }, asks);
  const request = joined?.request ?? (asked as TrainRequest);
  const ranks = new Ranks(joined);
  if (ranks.rank > 0) return yield* follow(ranks, request, openData);
  const team = new Team(ranks, request.stop);
  let ended = false;
  try {
    let done: DoneEvent | null = null;
    for await (const event of lead(request, openData, team)) {
      if (event.type === "done") done = event;
      yield event;
    }
    ended = true;
    team.end(done);
  } catch (error) {
    ended = true;
    throw ranks.explain(error);
  } finally {
    // Who reads the events may leave before their end.
    if (!ended) ranks.explain(new InternalError("The events of the run are not read any more"));
  }
}

async function* lead(request: TrainRequest, openData: OpenTrainData, team: Team): AsyncGenerator<TrainEvent, void> {
  const directory = request.resume === null ? null : RunDirectory.open(request.resume);
  try {
    const ended = directory === null ? null : endedRun(directory, request);
    if (ended !== null) return yield ended;
    if (directory === null) for (const what of measurementsBefore(request.settings)) yield { type: "preparing", what };
    yield* trainSession(await prepareRun(request, directory, openData, team), request.stop);
  } finally {
    directory?.release();
  }
}

async function* trainSession(session: Session, stop: Int32Array): AsyncGenerator<TrainEvent, void> {
  const { team } = session;
  try {
    const trainer = new Trainer(session, openRecorders(session), () => Atomics.load(stop, 0) !== 0);
    try {
      yield* logged(session.directory, trainer.run(), (error) => trainer.fail(team.ranks.explain(error)));
    } finally {
      await drawPictures(trainer.recorders);
      trainer.close();
    }
  } finally {
    session.directory.release();
    await session.data.close();
  }
}

class Trainer {
  readonly #progress: SavedProgress;
  readonly #stopping: EarlyStopping | null;
  readonly #faults: FaultJudge;
  readonly #steps: StepMaker;
  readonly #state: StateKeeper;
  readonly #epochs: EpochHealth;
  readonly #control: RunControl;
  /** What was said of images that were left out. */
  readonly #named = new Set<string>();

  constructor(
    readonly session: Session,
    readonly recorders: readonly Recorder[],
    interrupted: () => boolean,
  ) {
    const { settings, progress } = session;
    this.#progress = progress;
    this.#faults = new FaultJudge(settings.onNonFinite, progress.faults);
    this.#state = new StateKeeper(session, this.#faults);
    this.#epochs = new EpochHealth(session, this.#state, this.#faults);
    this.#control = new RunControl(session, { recorders, interrupted, save: () => this.#state.checkpoint() });
    this.#stopping = settings.earlyStopping
      ? new EarlyStopping(settings.earlyStoppingPatience, settings.earlyStoppingMinDelta)
      : null;
    this.#stopping?.load(progress.earlyStopping);
    const [faults, state, stopping] = [this.#faults, this.#state, this.#stopping];
    this.#steps = new StepMaker({ session, recorders, faults, state, stopping });
  }

  close(): void {
    this.#control.close();
    this.#steps.close();
    for (const recorder of this.recorders) recorder.close?.();
  }

  async *run(): AsyncGenerator<TrainEvent> {
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
    yield* this.#warnings();
    if (progress.finished) {
      if (settings.runTest && !existsSync(session.directory.file("test.json"))) yield* this.#test();
      return yield this.#endedBefore();
    }
    progress.scaler = session.parts.scaler.enabled ? session.parts.scaler.stateDict() : null;
    await callbacks?.runStart(start);
    // A kill in the first epoch must not be the end of the run, and a rollback needs a state to go back to.
    if (progress.step === 0) yield* this.#state.checkpoint();
    else yield* this.#state.heal();
    let reason: StopReason | null = null;
    while (reason === null && progress.epoch < settings.epochs) {
      const steps = yield* this.#epoch();
      if (steps === "rolled back") continue;
      reason = steps === "interrupted" ? steps : yield* this.#endEpoch();
      yield* this.#control.told();
      yield* this.#control.heedCallbacks();
      if (reason === "interrupted") yield* this.#keepLast();
      else if (reason !== null) this.#epochs.mustHaveTrained();
      progress.finished = reason !== null && reason !== "interrupted";
      yield* this.#state.checkpoint();
    }
    if (reason !== "interrupted") yield* this.#conclude();
    const done = this.#done(reason ?? "finished");
    await drawPictures(this.recorders);
    await callbacks?.runEnd(done.summary);
    yield* this.#warnings();
    yield done;
  }

  /** What is to be said to the user, by recorders among others. */
  *#warnings(): Generator<TrainEvent> {
    const { warnings, team } = this.session;
    for (const message of [...warnings.splice(0), ...team.warnings.splice(0)]) yield { type: "warning", message };
  }

  /** What remains to be done and said at the end of a run that was not interrupted. */
  async *#conclude(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    this.#epochs.mustHaveTrained();
    const skipped = mostlySkipped(session.progress, this.#faults.since);
    for (const message of [skipped, whyNoBest(session, this.#state.diverged)])
      if (message !== null) yield { type: "warning", message };
    if (session.settings.runTest) yield* this.#test();
  }

  /** Saves the weights of a run that is stopped, unless it has diverged. */
  *#keepLast(): Generator<TrainEvent> {
    yield* this.#state.heal();
    if (!this.#state.diverged && !this.#epochs.diverged) for (const recorder of this.recorders) recorder.stopped?.();
  }

  /**
   * Takes the steps that are left of the epoch. After a rollback the data begins anew at the step that the run is at
   * again.
   */
  async *#epoch(): AsyncGenerator<TrainEvent, "complete" | "rolled back" | "interrupted"> {
    const { data, stepsPerEpoch, settings, callbacks } = this.session;
    const progress = this.#progress;
    if (callbacks !== null && progress.stepInEpoch === 0) {
      const { epoch, step } = progress;
      addMetrics(progress, await callbacks.epochStart({ epoch: epoch + 1, epochs: settings.epochs, step }));
      yield* this.#control.heedCallbacks();
      if (callbacks.stopped !== null) return "complete";
    }
    this.#steps.begin();
    this.session.team.order({ do: "epoch", epoch: progress.epoch, from: progress.stepInEpoch });
    for await (const microBatches of data.steps(progress.epoch, progress.stepInEpoch)) {
      this.#steps.loaded();
      if (stepsLeft(this.session) <= 0) break;
      yield* this.#leftOut();
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
    return "complete";
  }

  /** Names the images that were left out since the last time. */
  *#leftOut(): Generator<TrainEvent> {
    for (const message of leftOutOf(this.session)) {
      if (this.#named.has(message)) continue;
      this.#named.add(message);
      yield { type: "warning", message };
    }
  }

  /**
   * Evaluates the epoch, has it recorded and moves on to the next. @returns why training ends here, or null where it
   * goes on
   */
  async *#endEpoch(): AsyncGenerator<TrainEvent, StopReason | null> {
    const { session, recorders } = this;
    const { settings, callbacks } = session;
    const progress = this.#progress;
    const epoch = progress.epoch + 1;
    yield* this.#state.heal();
    session.team.compareWeights(session);
    const began = performance.now();
    const due =
      epoch >= settings.epochs ||
      stepsLeft(session) <= 0 ||
      epoch % settings.evalInterval === 0 ||
      (callbacks !== null && callbacks.stopped !== null);
    const figures = due ? yield* evaluateEpoch(session, () => this.#control.lookForStop()) : notEvaluated;
    yield* this.#leftOut();
    if (figures === null) return "interrupted";
    const evaluationSeconds = (performance.now() - began) / 1000;
    if (figures.summary !== null) this.#steps.evaluationSeconds = evaluationSeconds;
    const usable = yield* this.#epochs.usable(figures);
    const { healthy, diverged } = this.#state;
    const before = progress.best?.figure ?? null;
    const verdict = judgeEpoch(settings, epoch, before, figures, { usable, healthy: !diverged });
    const { chosen, baseWins, figure, watched, best } = verdict;
    const event = await this.#heard(epochEvent(session, { figures, best, evaluationSeconds }), figures);
    const details = baseWins ? figures.baseDetails : figures.summaryDetails;
    for (const recorder of recorders) recorder.epoch?.({ event, ...figures, chosen, details, baseWins, usable });
    await drawPictures(recorders);
    yield* this.#warnings();
    if (best && figure !== null && chosen !== null) progress.best = { figure, epoch, AP: chosen.AP, AP50: chosen.AP50 };
    progress.epoch = epoch;
    progress.stepInEpoch = 0;
    progress.epochSums = emptySums();
    if (progress.rollbacks !== undefined && healthy) progress.rollbacks.inEpoch = 0;
    let ended: StopReason | null = null;
    if (stepsLeft(session) <= 0)
      ended = settings.maxSteps !== null && session.totalSteps >= settings.maxSteps ? "max_steps" : "finished";
    else if (epoch >= settings.epochs) ended = "finished";
    else if (callbacks !== null && callbacks.stopped !== null) ended = "callback";
    else if (watched !== null && this.#stopping !== null && epoch > settings.skipBestEpochs) {
      if (this.#stopping.update(watched)) ended = "early_stopping";
      progress.earlyStopping = this.#stopping.state();
    }
    yield event;
    return ended;
  }

  /** The event of an epoch with what callbacks have to say of it. */
  async #heard(event: EpochEvent, { summary, base, loss }: EpochFigures): Promise<EpochEvent> {
    const { callbacks, progress } = this.session;
    if (callbacks === null) return event;
    const { epoch, step } = event;
    const metrics = metricMeans(progress.epochSums);
    if (summary !== null) Object.assign(metrics, await callbacks.evaluation({ epoch, step, summary, base, loss }));
    Object.assign(metrics, await callbacks.epochEnd({ ...event, metrics: { ...metrics } }));
    return { ...event, metrics };
  }

  /** Scores the best weights on the test split. */
  async *#test(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    const why = whyNoTest(session);
    if (why !== null) return yield { type: "warning", message: why };
    const details = yield* evaluateTest(session, () => this.#control.lookForStop());
    if (details === null) return;
    for (const recorder of this.recorders) recorder.test?.(details);
    const perClass = details.per_class.map(({ best, errors, ...figures }) => figures);
    yield { type: "test", ap: details.AP, ap50: details.AP50, perClass };
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
