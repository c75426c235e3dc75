// The training loop: epochs of steps, evaluation, weights, checkpoints; a stream of events.
import { existsSync } from "node:fs";
import { Monitor, type OverflowReport, recordLine } from "@rfdetr/amp";
import type { CocoSummary } from "../eval/coco-summary.js";
import { RfdetrError } from "../run/errors.js";
import type { RunSummary } from "../run/run-directory.js";
import { TensorBoardWriter } from "../run/tensorboard.js";
import type { Progress } from "./checkpoint.js";
import { EarlyStopping } from "./early-stopping.js";
import { evaluating } from "./evaluating.js";
import type { DoneEvent, StepEvent, TrainEvent } from "./events.js";
import { scaleOfStep } from "./multi-scale.js";
import { addStep, emptySums } from "./progress.js";
import { epochEvent, epochScalars, lossScale, metricsRow, monitorRecord, runSummary, startEvent, stepRecord } from "./records.js";
import type { TrainRequest } from "./run.js";
import { prepareRun, type Session, saveSession, saveUsable, useBest } from "./session.js";
import { SpeedMeter } from "./speed.js";
import { type MicroBatch, replayStep, trainingStep } from "./step.js";
import type { OpenTrainData } from "./training-data.js";

/** Steps in a row that change nothing before a run is given up. */
const hopeless = 50;
/** Skipped steps that are run again to find the place of the fault; a hopeless run would spend its time on nothing else. */
const replays = 20;
/** Seconds between checkpoints inside a long epoch. */
const checkpointSeconds = 600;

/** Trains in this thread. Ends with a `done` event; throws what the run failed with, leaving the last checkpoint and the best weights as they are. */
export async function* train(request: TrainRequest, openData: OpenTrainData): AsyncGenerator<TrainEvent, void> {
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
  readonly #progress: Progress;
  readonly #board: TensorBoardWriter | null;
  readonly #stopping: EarlyStopping | null;
  readonly #speed = new SpeedMeter();
  #saved = performance.now();
  /** When the last step ended, or the epoch began: waiting for data counts as training time. */
  #mark = 0;
  #wasted = 0;
  #replays = 0;
  readonly #monitor: Monitor;
  #evaluationSeconds = 0;

  constructor(
    readonly session: Session,
    readonly stopRequested: () => boolean,
  ) {
    const { settings, directory, progress } = session;
    this.#progress = progress;
    this.#monitor = new Monitor({ interval: settings.monitorInterval });
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
    const { settings, stepsPerEpoch, totalSteps } = session;
    const progress = this.#progress;
    yield startEvent(session);
    for (const message of session.warnings) yield { type: "warning", message };
    while (!progress.finished && progress.epoch < settings.epochs) {
      this.#mark = performance.now();
      for await (const microBatches of session.data.steps(progress.epoch, progress.stepInEpoch)) {
        if (progress.step >= totalSteps) break;
        yield* this.#step(microBatches);
        if (this.stopRequested()) {
          yield this.#checkpoint();
          yield this.#done("interrupted");
          return;
        }
        if (performance.now() - this.#saved > checkpointSeconds * 1000) yield this.#checkpoint();
        if (progress.stepInEpoch >= stepsPerEpoch) break;
      }
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

  *#step(microBatches: readonly MicroBatch[]): Generator<TrainEvent> {
    const { session } = this;
    const { settings, totalSteps, schedule, parts, ema, scales } = session;
    const progress = this.#progress;
    const lr = schedule.apply(parts.optimizer, progress.applied);
    const size = scales === null ? null : scaleOfStep(progress.applied, scales);
    const scale = parts.scaler.currentScale;
    const watched = this.#monitor.due(progress.step + 1);
    if (watched) this.#monitor.begin();
    const result = trainingStep(parts, microBatches, size);
    const seen = watched ? this.#monitor.end() : null;
    const images = microBatches.reduce((sum, { targets }) => sum + targets.length, 0);
    if (result.applied && ema !== null && (progress.applied + 1) % settings.emaUpdateInterval === 0) ema.update();
    const now = performance.now();
    progress.scaler = parts.scaler.enabled ? parts.scaler.stateDict() : null;
    const seconds = (now - this.#mark) / 1000;
    addStep(progress, result, images, seconds);
    this.#mark = now;
    this.#speed.add(images, now);
    const report = result.applied ? null : this.#replay(microBatches, size, scale);
    const record = recordLine(stepRecord(session, result, { lr, scale, seconds, report }));
    session.directory.append(
      "numerics.jsonl",
      `${record}\n${report === null ? "" : `${recordLine(report)}\n`}${seen === null ? "" : `${recordLine(monitorRecord(session, seen, scale))}\n`}`,
    );
    if (!result.applied) yield* this.#skipped(result.fault?.what ?? "", report);
    else this.#wasted = 0;
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
  }

  /** Looks for the place of a fault; null once that has been done often enough. */
  #replay(microBatches: readonly MicroBatch[], size: number | null, scale: number): OverflowReport | null {
    if (this.#replays++ >= replays) return null;
    const { parts, precision } = this.session;
    const files = microBatches.flatMap((batch) => batch.files ?? []);
    return replayStep(parts, microBatches, size, scale, { step: this.#progress.step, precision, files });
  }

  *#skipped(fault: string, report: OverflowReport | null): Generator<TrainEvent> {
    this.#wasted++;
    if (this.#wasted === 1 && lossScale(this.session) === null)
      yield {
        type: "warning",
        message: `Step ${this.#progress.step} changed nothing, because the ${fault} is not finite${report?.module ? `: it began in ${report.module}` : ""}`,
      };
    if (this.#wasted >= hopeless)
      throw new RfdetrError(
        "ERR_NUMERICS",
        `${hopeless} steps in a row were not finite (last: ${fault}): lower the learning rate, or train with --no-amp`,
      );
  }

  /** Evaluation, weights and the row of the epoch. @returns why training ends here, or null where it goes on. */
  async *#endEpoch(): AsyncGenerator<TrainEvent, RunSummary["stop_reason"] | null> {
    const { session } = this;
    const { settings, totalSteps, directory } = session;
    const progress = this.#progress;
    const epoch = progress.epoch + 1;
    const last = epoch >= settings.epochs || progress.step >= totalSteps;
    const began = performance.now();
    let summary: CocoSummary | null = null;
    let base: CocoSummary | null = null;
    if (last || epoch % settings.evalInterval === 0) {
      const evaluator = yield* evaluating(session, "shipped", "valid", this.stopRequested);
      if (evaluator === null) return "interrupted";
      summary = evaluator.summarize();
      if (settings.evalBaseModel && session.ema !== null) {
        const other = yield* evaluating(session, "own", "valid", this.stopRequested);
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
    if (progress.step >= totalSteps) ended = settings.maxSteps !== null && progress.step >= settings.maxSteps ? "max_steps" : "finished";
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
    const evaluator = yield* evaluating(session, "own", "test", this.stopRequested);
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
    if (!(error instanceof Error) || (code !== "ERR_DATA" && code !== "ERR_RUN_DIRECTORY") || !existsSync(directory.checkpoint))
      return error;
    return new RfdetrError(
      code,
      `${error.message}. The run stopped after step ${this.#progress.step}; then continue it with --resume ${directory.path}`,
      { cause: error },
    );
  }

  #secondsLeft(imagesPerStep: number): number {
    const { totalSteps, stepsPerEpoch, settings } = this.session;
    const steps = totalSteps - this.#progress.step;
    const evaluations = Math.ceil(steps / (stepsPerEpoch * settings.evalInterval));
    return (steps * imagesPerStep) / this.#speed.perSecond + evaluations * this.#evaluationSeconds;
  }
}
