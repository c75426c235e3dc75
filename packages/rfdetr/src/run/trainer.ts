// The training loop: epochs of steps, evaluation, weights, checkpoints; a stream of events.

import { existsSync } from "node:fs";
import { Monitor, numericsVersion, type OverflowReport, recordLine, UpdateProbe } from "@rfdetr/amp";
import type { CocoSummary } from "../eval/coco/coco-summary.js";
import { addHint, NumericsError, RfdetrError } from "../support/errors.js";
import { EarlyStopping } from "../train/early-stopping.js";
import { scaleOfStep } from "../train/multi-scale.js";
import type { MicroBatch } from "../train/parts.js";
import { replayStep } from "../train/replay.js";
import { type StepResult, trainingStep } from "../train/step.js";
import { FaultJudge, mostRollbacks } from "./fault-policy.js";
import type { SavedProgress } from "./files/checkpoint.js";
import type { DoneEvent, StepEvent, TrainEvent } from "./files/events.js";
import {
  endedBefore,
  epochEvent,
  epochScalars,
  lossScale,
  metricsRow,
  monitorRecord,
  runSummary,
  startEvent,
  stepRecord,
} from "./files/records.js";
import type { RunSummary } from "./files/run-directory.js";
import { TensorBoardWriter } from "./files/tensorboard.js";
import { addStep, emptySums } from "./progress.js";
import { scheduledEvaluation } from "./scheduled-evaluation.js";
import { measurementsBefore, prepareRun } from "./session/prepare.js";
import type { Session } from "./session/session.js";
import { rollBack, saveSession, saveUsable, useBest } from "./session/session-state.js";
import type { OpenTrainData } from "./session/training-data.js";
import { SpeedMeter } from "./speed.js";
import type { TrainRequest } from "./train-run.js";

/** Failures whose cause is outside the run: it can be continued once that is mended. */
const resumable = new Set(["ERR_DATA", "ERR_RUN_DIRECTORY", "ERR_NUMERICS"]);
/** Seconds between checkpoints inside a long epoch. */
const checkpointSeconds = 600;

/** Trains in this thread. Ends with a `done` event; throws what the run failed with, leaving the last checkpoint and the best weights as they are. */
export async function* train(request: TrainRequest, openData: OpenTrainData): AsyncGenerator<TrainEvent, void> {
  if (request.resume === null) for (const what of measurementsBefore(request.settings)) yield { type: "preparing", what };
  const session = await prepareRun(request, openData);
  const trainer = new Trainer(session, () => Atomics.load(request.stop, 0) !== 0);
  try {
    yield* trainer.run();
  } catch (error) {
    throw trainer.fail(error);
  } finally {
    await trainer.close();
  }
}

class Trainer {
  readonly #progress: SavedProgress;
  readonly #board: TensorBoardWriter | null;
  readonly #stopping: EarlyStopping | null;
  readonly #speed = new SpeedMeter();
  #saved = performance.now();
  /** When the last step ended, or the epoch began: waiting for data counts as training time. */
  #mark = 0;
  readonly #faults: FaultJudge;
  readonly #monitor: Monitor;
  readonly #updates: UpdateProbe;
  #evaluationSeconds = 0;

  constructor(
    readonly session: Session,
    readonly stopRequested: () => boolean,
  ) {
    const { settings, directory, progress } = session;
    this.#progress = progress;
    this.#faults = new FaultJudge(settings.onNonFinite);
    this.#monitor = new Monitor({ interval: settings.monitorInterval });
    this.#updates = new UpdateProbe([...session.parts.model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad));
    this.#board = settings.tensorboard ? new TensorBoardWriter(directory.path) : null;
    this.#stopping = settings.earlyStopping ? new EarlyStopping(settings.earlyStoppingPatience, settings.earlyStoppingMinDelta) : null;
    this.#stopping?.load(progress.earlyStopping);
  }

  async close(): Promise<void> {
    this.#monitor.end();
    this.#board?.close();
    await this.session.data.close();
  }

  async *run(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    const { settings, stepsPerEpoch } = session;
    const progress = this.#progress;
    yield startEvent(session);
    for (const message of session.warnings) yield { type: "warning", message };
    if (progress.finished) return yield endedBefore(session);
    // There must be a state to go back to.
    if (settings.onNonFinite === "rollback" && progress.step === 0) yield this.#checkpoint();
    while (!progress.finished && progress.epoch < settings.epochs) {
      this.#mark = performance.now();
      let wentBack = false;
      for await (const microBatches of session.data.steps(progress.epoch, progress.stepInEpoch)) {
        if (this.#stepsLeft <= 0) break;
        wentBack = yield* this.#step(microBatches);
        if (wentBack) break;
        if (this.stopRequested()) {
          yield this.#checkpoint();
          yield this.#done("interrupted");
          return;
        }
        if (performance.now() - this.#saved > checkpointSeconds * 1000) yield this.#checkpoint();
        if (progress.stepInEpoch >= stepsPerEpoch) break;
      }
      if (wentBack) continue;
      const ended = yield* this.#endEpoch();
      if (ended === "interrupted") {
        yield this.#checkpoint();
        yield this.#done("interrupted");
        return;
      }
      if (ended !== null) {
        progress.finished = true;
        yield this.#checkpoint();
        if (settings.runTest) yield* this.#test();
        yield this.#done(ended);
        return;
      }
      yield this.#checkpoint();
    }
    yield this.#done("finished");
  }

  /** Steps until the run ends by their number; those that were undone do not count. */
  get #stepsLeft(): number {
    const { progress, totalSteps } = this.session;
    return totalSteps - progress.step + (progress.rollbacks?.undone ?? 0);
  }

  /** @returns whether the run went back, so that the data must too */
  *#step(microBatches: readonly MicroBatch[]): Generator<TrainEvent, boolean> {
    const { session } = this;
    const { settings, totalSteps, schedule, parts, ema, scales } = session;
    const progress = this.#progress;
    const lr = schedule.apply(parts.optimizer, progress.applied, progress.rollbacks?.lrFactor);
    const size = scales === null ? null : scaleOfStep(progress.applied, scales);
    const scale = parts.scaler.currentScale;
    const watched = this.#monitor.due(progress.step + 1);
    if (watched) {
      this.#updates.begin();
      this.#monitor.begin();
    }
    const averages = ema !== null && (progress.applied + 1) % settings.emaUpdateInterval === 0;
    const result = trainingStep(parts, microBatches, size, averages ? ema : null);
    if (result.warning !== null) yield { type: "warning", message: result.warning };
    const seen = watched ? { ...this.#monitor.end(), updates: this.#updates.end() } : null;
    const images = microBatches.reduce((sum, { targets }) => sum + targets.length, 0);
    const now = performance.now();
    progress.scaler = parts.scaler.enabled ? parts.scaler.stateDict() : null;
    const seconds = (now - this.#mark) / 1000;
    addStep(progress, result, images, seconds);
    this.#mark = now;
    this.#speed.add(images, now);
    const report = result.applied || !this.#faults.wantsReplay() ? null : this.#replay(microBatches, size, scale);
    const record = recordLine(stepRecord(session, result, { lr, scale, seconds, report }));
    session.directory.append(
      "numerics.jsonl",
      `${record}\n${report === null ? "" : `${recordLine(report)}\n`}${seen === null ? "" : `${recordLine(monitorRecord(session, seen, scale))}\n`}`,
    );
    if (this.#board !== null && progress.step % 10 === 0)
      this.#board.scalars(progress.step, { "train/loss_step": result.loss, "train/lr": lr, "train/grad_norm": result.gradNorm });
    const event: StepEvent = {
      type: "step",
      epoch: progress.epoch + 1,
      step: progress.step,
      totalSteps,
      loss: result.loss,
      lr,
      gradNorm: result.gradNorm,
      imagesPerSecond: this.#speed.perSecond,
      rssBytes: process.memoryUsage.rss(),
      size: size ?? microBatches[0].height,
      precision: session.precision,
      lossScale: lossScale(session),
      skipped: !result.applied,
      skippedSteps: progress.skipped,
      secondsLeft: this.#secondsLeft(images),
    };
    yield event;
    if (!result.applied) return yield* this.#faulty(result, scale, report);
    this.#faults.applied();
    return false;
  }

  /** Looks for the place of a fault. */
  #replay(microBatches: readonly MicroBatch[], size: number | null, scale: number): OverflowReport {
    const { parts, precision } = this.session;
    const files = microBatches.flatMap((batch) => batch.files ?? []);
    return replayStep(parts, microBatches, size, scale, { step: this.#progress.step, precision, files });
  }

  /** @returns whether the run went back */
  *#faulty(result: StepResult, scale: number, report: OverflowReport | null): Generator<TrainEvent, boolean> {
    const { session } = this;
    const progress = this.#progress;
    const { action, message } = this.#faults.judge(progress.step, result, scale, report);
    if (action === "skip") {
      if (message !== null) yield { type: "warning", message };
      return false;
    }
    if (action === "stop") {
      // The step changed nothing, so the state is good, unless a weight itself is the fault.
      if (report?.phase !== "weight") saveSession(session);
      throw new NumericsError(`${message}, and on_non_finite is stop. numerics.jsonl says what led there`);
    }
    const tries = progress.rollbacks?.inEpoch ?? 0;
    if (tries >= mostRollbacks)
      throw new NumericsError(
        `${message}, after going back ${tries} times in this epoch with ever lower learning rates: numerics.jsonl says where it begins`,
      );
    const from = progress.step;
    const to = rollBack(session);
    const factor = progress.rollbacks?.lrFactor ?? 1;
    const record = { v: numericsVersion, kind: "rollback", step: from, to_step: to, lr_factor: factor, fault: result.fault?.what ?? null };
    session.directory.append("numerics.jsonl", `${recordLine(record)}\n`);
    yield { type: "warning", message: `${message}: back to the state after step ${to}, with ${factor} times the learning rate` };
    yield this.#checkpoint();
    return true;
  }

  /** Evaluation, weights and the row of the epoch. @returns why training ends here, or null where it goes on. */
  async *#endEpoch(): AsyncGenerator<TrainEvent, RunSummary["stop_reason"] | null> {
    const { session } = this;
    const { settings, directory } = session;
    const progress = this.#progress;
    const epoch = progress.epoch + 1;
    const last = epoch >= settings.epochs || this.#stepsLeft <= 0;
    const began = performance.now();
    let summary: CocoSummary | null = null;
    let base: CocoSummary | null = null;
    if (last || epoch % settings.evalInterval === 0) {
      const evaluator = yield* scheduledEvaluation(session, "shipped", "valid", this.stopRequested);
      if (evaluator === null) return "interrupted";
      summary = evaluator.summarize();
      if (settings.evalBaseModel && session.ema !== null) {
        const other = yield* scheduledEvaluation(session, "own", "valid", this.stopRequested);
        if (other === null) return "interrupted";
        base = other.summarize();
      }
    }
    const evaluationSeconds = (performance.now() - began) / 1000;
    if (summary !== null) this.#evaluationSeconds = evaluationSeconds;

    const shippedFigure = this.#figure(summary);
    const baseFigure = this.#figure(base);
    const baseWins = baseFigure !== null && (shippedFigure === null || baseFigure > shippedFigure);
    const chosen = baseWins ? base : summary;
    const figure = baseWins ? baseFigure : shippedFigure;
    const best =
      figure !== null && chosen !== null && epoch > settings.skipBestEpochs && (progress.best === null || figure > progress.best.figure);
    const info = { epoch: String(epoch), ...(chosen === null ? {} : { AP: String(chosen.AP), AP50: String(chosen.AP50) }) };
    saveUsable(session, directory.last, info);
    if (best) {
      saveUsable(session, directory.best, info, baseWins);
      progress.best = { figure, epoch, AP: chosen.AP, AP50: chosen.AP50 };
    }
    if (epoch % settings.checkpointInterval === 0) saveUsable(session, directory.weightsOfEpoch(epoch), info);

    const outcome = { summary, base, best, evaluationSeconds };
    const event = epochEvent(session, outcome);
    directory.appendRow("metrics.csv", metricsRow(session, event, outcome));
    if (summary !== null) directory.writeJson("evaluation.json", summary);
    this.#board?.scalars(progress.step, epochScalars(event, outcome));
    progress.epoch = epoch;
    progress.stepInEpoch = 0;
    progress.epochSums = emptySums();
    let ended: RunSummary["stop_reason"] | null = null;
    if (progress.rollbacks !== undefined) progress.rollbacks.inEpoch = 0;
    if (this.#stepsLeft <= 0) ended = settings.maxSteps !== null && session.totalSteps >= settings.maxSteps ? "max_steps" : "finished";
    else if (last) ended = "finished";
    else if (figure !== null && this.#stopping !== null && epoch > settings.skipBestEpochs) {
      const watched = settings.earlyStoppingUseEma ? (shippedFigure ?? figure) : figure;
      if (this.#stopping.update(watched)) ended = "early_stopping";
      progress.earlyStopping = this.#stopping.state();
    }
    yield event;
    return ended;
  }

  #figure(summary: CocoSummary | null): number | null {
    if (summary === null) return null;
    const { bestModelMetric, evalMaxDets } = this.session.settings;
    return bestModelMetric === "map" ? summary.AP : (summary[`AR${evalMaxDets}`] as number);
  }

  /** Scores the best weights on the test split, once. */
  async *#test(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    if (session.data.testImages === 0 || this.#progress.best === null) {
      yield { type: "warning", message: "run_test is set, but the dataset has no test split" };
      return;
    }
    useBest(session);
    const evaluator = yield* scheduledEvaluation(session, "own", "test", this.stopRequested);
    if (evaluator === null) return;
    const summary = evaluator.summarize();
    session.directory.writeJson("test.json", summary);
    yield { type: "test", ap: summary.AP, ap50: summary.AP50, perClass: summary.per_class };
  }

  #checkpoint(): TrainEvent {
    saveSession(this.session);
    this.#saved = performance.now();
    return { type: "checkpoint", path: this.session.directory.checkpoint, step: this.#progress.step };
  }

  #done(reason: RunSummary["stop_reason"]): DoneEvent {
    const { directory } = this.session;
    const summary = runSummary(this.session, reason);
    directory.writeJson("summary.json", summary);
    return { type: "done", summary, dir: directory.path, best: this.#progress.best === null ? null : directory.best };
  }

  /** Leaves a summary that says so, where the disk still takes one. After a fault in the data the run can be continued: nothing of it is lost. @returns the error to throw */
  fail(error: unknown): unknown {
    const { directory } = this.session;
    const { code } = error as { code?: unknown };
    try {
      directory.writeJson("summary.json", runSummary(this.session, "failed"));
      if (code === "ERR_DATA") saveSession(this.session);
    } catch {
      // A full disk takes no summary either; the error that matters is on its way.
    }
    if (!RfdetrError.is(error) || !resumable.has(error.code) || !existsSync(directory.checkpoint)) return error;
    return addHint(error, `The run stopped after step ${this.#progress.step}; continue it in ${directory.path} once that is mended`);
  }

  #secondsLeft(imagesPerStep: number): number {
    const { stepsPerEpoch, settings } = this.session;
    const steps = this.#stepsLeft;
    const evaluations = Math.ceil(steps / (stepsPerEpoch * settings.evalInterval));
    return (steps * imagesPerStep) / this.#speed.perSecond + evaluations * this.#evaluationSeconds;
  }
}
