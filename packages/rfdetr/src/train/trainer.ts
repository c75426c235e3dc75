// The training loop: epochs of steps, evaluation, weights, checkpoints; a stream of events.
import { existsSync } from "node:fs";
import { numericsVersion, type OverflowReport, recordLine, type StepRecord } from "@rfdetr/amp";
import { engine, getNumThreads, memory } from "@rfdetr/torch";
import type { CocoEvaluator } from "../eval/coco.js";
import type { CocoSummary } from "../eval/coco-summary.js";
import { RfdetrError } from "../run/errors.js";
import { machineLine, peakRss } from "../run/machine.js";
import type { RunSummary } from "../run/run-directory.js";
import { TensorBoardWriter } from "../run/tensorboard.js";
import type { Progress } from "./checkpoint.js";
import { EarlyStopping } from "./early-stopping.js";
import { evaluate } from "./evaluate.js";
import type { DoneEvent, EpochEvent, StepEvent, TrainEvent } from "./events.js";
import { scaleOfStep } from "./multi-scale.js";
import { addStep, emptySums, epochMeans } from "./progress.js";
import type { TrainRequest } from "./run.js";
import { prepareRun, type Session, saveSession, saveUsable, useBest, withAverage } from "./session.js";
import { SpeedMeter } from "./speed.js";
import { type MicroBatch, replayStep, type StepResult, trainingStep } from "./step.js";
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
  #evaluationSeconds = 0;

  constructor(
    readonly session: Session,
    readonly stopRequested: () => boolean,
  ) {
    const { settings, directory, progress } = session;
    this.#progress = progress;
    this.#board = settings.tensorboard ? new TensorBoardWriter(directory.path) : null;
    this.#stopping = settings.earlyStopping ? new EarlyStopping(settings.earlyStoppingPatience, settings.earlyStoppingMinDelta) : null;
    this.#stopping?.load(progress.earlyStopping);
  }

  async close(): Promise<void> {
    this.#board?.close();
    await this.session.data.close();
  }

  async *run(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    const { settings, stepsPerEpoch, totalSteps } = session;
    const progress = this.#progress;
    yield this.#start();
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
    const result = trainingStep(parts, microBatches, size);
    const images = microBatches.reduce((sum, { targets }) => sum + targets.length, 0);
    if (result.applied && ema !== null && (progress.applied + 1) % settings.emaUpdateInterval === 0) ema.update();
    const now = performance.now();
    progress.scaler = parts.scaler.enabled ? parts.scaler.stateDict() : null;
    const seconds = (now - this.#mark) / 1000;
    addStep(progress, result, images, seconds);
    this.#mark = now;
    this.#speed.add(images, now);
    const report = result.applied ? null : this.#replay(microBatches, size, scale);
    this.#record(result, lr, scale, seconds, report);
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
      lossScale: this.#lossScale(),
      skipped: !result.applied,
      skippedSteps: progress.skipped,
      secondsLeft: this.#secondsLeft(images),
    };
    yield event;
  }

  /** The line of this step in numerics.jsonl. */
  #record(result: StepResult, lr: number, scale: number, seconds: number, report: OverflowReport | null): void {
    const { directory, precision } = this.session;
    const { step, applied, epoch } = this.#progress;
    const { liveBytes, peakBytes } = memory();
    const record: StepRecord = {
      v: numericsVersion,
      kind: "step",
      step,
      applied_steps: applied,
      epoch: epoch + 1,
      precision,
      scale,
      loss: result.loss,
      found_inf: !result.applied,
      skipped: !result.applied,
      grad_norm: result.gradNorm,
      clip_factor: result.clipFactor,
      lr,
      bad_parameter: result.fault?.parameter ?? null,
      bad_module: report?.module ?? null,
      fault: result.fault?.what ?? null,
      seconds: Number(seconds.toFixed(4)),
      memory: { live_bytes: liveBytes, peak_bytes: peakBytes, rss_bytes: process.memoryUsage.rss() },
    };
    directory.append("numerics.jsonl", `${recordLine(record)}\n${report === null ? "" : `${recordLine(report)}\n`}`);
  }

  /** Looks for the place of a fault; null once that has been done often enough. */
  #replay(microBatches: readonly MicroBatch[], size: number | null, scale: number): OverflowReport | null {
    if (this.#replays++ >= replays) return null;
    const { parts, precision } = this.session;
    const files = microBatches.flatMap((batch) => batch.files ?? []);
    return replayStep(parts, microBatches, size, scale, { step: this.#progress.step, precision, files });
  }

  /** The gradient scaler's scale; null where gradients are not scaled. */
  #lossScale(): number | null {
    const { scaler } = this.session.parts;
    return scaler.enabled ? scaler.currentScale : null;
  }

  *#skipped(fault: string, report: OverflowReport | null): Generator<TrainEvent> {
    this.#wasted++;
    if (this.#wasted === 1 && this.#lossScale() === null)
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
      const evaluator = yield* this.#evaluate("shipped");
      if (evaluator === null) return "interrupted";
      summary = evaluator.summarize();
      if (settings.evalBaseModel && session.ema !== null) {
        const other = yield* this.#evaluate("base");
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

    const event = this.#row(epoch, summary, base, best, evaluationSeconds);
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

  #row(epoch: number, summary: CocoSummary | null, base: CocoSummary | null, best: boolean, evaluationSeconds: number): EpochEvent {
    const { session } = this;
    const progress = this.#progress;
    const { loss, terms } = epochMeans(progress.epochSums);
    const { images, seconds } = progress.epochSums;
    const lr = session.schedule.baseRate(Math.max(0, progress.applied - 1));
    const imagesPerSecond = seconds > 0 ? images / seconds : 0;
    const figure = (value: number | undefined) => value ?? null;
    session.directory.appendRow("metrics.csv", {
      epoch,
      step: progress.step,
      lr,
      "train/loss": loss,
      ...Object.fromEntries(
        ["loss_ce", "loss_bbox", "loss_giou", "loss_ce_aux", "loss_bbox_aux", "loss_giou_aux"].map((name) => [
          `train/${name}`,
          terms[name] ?? 0,
        ]),
      ),
      "val/AP": figure(summary?.AP),
      "val/AP50": figure(summary?.AP50),
      "val/AP75": figure(summary?.AP75),
      "val/AP_small": figure(summary?.AP_small),
      "val/AP_medium": figure(summary?.AP_medium),
      "val/AP_large": figure(summary?.AP_large),
      "val/AR1": figure(summary?.AR1),
      "val/AR10": figure(summary?.AR10),
      "val/AR": figure(summary?.[`AR${session.settings.evalMaxDets}`]),
      "val/base_AP": figure(base?.AP),
      "val/base_AP50": figure(base?.AP50),
      images_per_second: imagesPerSecond,
      train_seconds: progress.trainSeconds,
      evaluation_seconds: evaluationSeconds,
      skipped_steps: progress.skipped,
      peak_rss_bytes: peakRss(),
    });
    this.#board?.scalars(progress.step, {
      "train/loss": loss,
      ...Object.fromEntries(Object.entries(terms).map(([name, value]) => [`train/${name}`, value])),
      ...(summary === null ? {} : { "val/AP": summary.AP, "val/AP50": summary.AP50, "val/AP75": summary.AP75 }),
      ...(base === null ? {} : { "val/base_AP": base.AP, "val/base_AP50": base.AP50 }),
      "amp/skipped": progress.skipped,
    });
    if (summary !== null) session.directory.writeJson("evaluation.json", summary);
    return {
      type: "epoch",
      epoch,
      epochs: session.settings.epochs,
      step: progress.step,
      loss,
      terms,
      lr,
      ap: figure(summary?.AP),
      ap50: figure(summary?.AP50),
      ap75: figure(summary?.AP75),
      perClass: summary?.per_class ?? [],
      best,
      seconds,
      evaluationSeconds,
      imagesPerSecond,
      amp: { precision: session.precision, lossScale: this.#lossScale(), skipped: progress.skipped },
    };
  }

  /** @returns null where the user asked to stop meanwhile. */
  async *#evaluate(which: "shipped" | "base", split: "valid" | "test" = "valid"): AsyncGenerator<TrainEvent, CocoEvaluator | null> {
    const { session } = this;
    const { settings, data } = session;
    const totalImages = split === "valid" ? data.validImages : data.testImages;
    const done: number[] = [];
    let wake = () => {};
    let running = true;
    const run = () =>
      evaluate({
        model: session.parts.model,
        autocast: session.evaluationAutocast,
        device: session.parts.device,
        classNames: data.classNames,
        batches: data.evaluation(split, settings.evalBatchSize ?? settings.batchSize),
        numSelect: session.modelConfig.numSelect,
        maxDets: settings.evalMaxDets,
        progress: (images) => {
          done.push(images);
          wake();
          return !this.stopRequested();
        },
      });
    const work = (which === "shipped" ? withAverage(session, run) : run()).finally(() => {
      running = false;
      wake();
    });
    // Its failure is thrown where its result is awaited.
    work.catch(() => {});
    while (running || done.length > 0) {
      for (const images of done.splice(0)) yield { type: "evaluation", images, totalImages };
      if (running && done.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
    return await work;
  }

  /** Scores the best weights on the test split, once. */
  async *#test(): AsyncGenerator<TrainEvent> {
    const { session } = this;
    if (session.data.testImages === 0 || this.#progress.best === null) {
      yield { type: "warning", message: "run_test is set, but the dataset has no test split" };
      return;
    }
    useBest(session);
    const evaluator = yield* this.#evaluate("base", "test");
    if (evaluator === null) return;
    const summary = evaluator.summarize();
    session.directory.writeJson("test.json", summary);
    yield { type: "test", ap: summary.AP, ap50: summary.AP50, perClass: summary.per_class };
  }

  #start(): TrainEvent {
    const { session } = this;
    const { settings, data, directory } = session;
    return {
      type: "start",
      dir: directory.path,
      model: settings.model,
      resolution: session.modelConfig.resolution,
      parameters: session.parameters,
      classes: [...data.classNames],
      trainImages: data.trainImages,
      validImages: data.validImages,
      stepsPerEpoch: session.stepsPerEpoch,
      totalSteps: session.totalSteps,
      epochs: settings.epochs,
      batch: settings.batchSize * settings.gradAccumSteps,
      precision: session.precision,
      reason: session.reason,
      device: session.parts.device,
      threads: getNumThreads(),
      engine: engine().version,
      hardware: machineLine(),
      seed: session.seed,
      resumedAt: this.#progress.step === 0 ? null : this.#progress.step,
    };
  }

  #checkpoint(): TrainEvent {
    saveSession(this.session);
    this.#saved = performance.now();
    return { type: "checkpoint", path: this.session.directory.checkpoint, step: this.#progress.step };
  }

  #summary(reason: RunSummary["stop_reason"]): RunSummary {
    const { best, epoch, step, skipped, trainSeconds } = this.#progress;
    return {
      AP: best?.AP ?? null,
      AP50: best?.AP50 ?? null,
      precision: this.session.precision,
      reason: this.session.reason,
      epochs: epoch,
      steps: step,
      skipped_steps: skipped,
      train_seconds: Number(trainSeconds.toFixed(3)),
      peak_rss_bytes: peakRss(),
      stop_reason: reason,
    };
  }

  #done(reason: RunSummary["stop_reason"]): DoneEvent {
    const { directory } = this.session;
    const summary = this.#summary(reason);
    directory.writeJson("summary.json", summary);
    return { type: "done", summary, dir: directory.path, best: this.#progress.best === null ? null : directory.best };
  }

  /** Leaves a summary that says so, where the disk still takes one. After a fault in the data the run can be continued: nothing of it is lost. @returns the error to throw */
  fail(error: unknown): unknown {
    const { directory } = this.session;
    const { code } = error as { code?: unknown };
    try {
      directory.writeJson("summary.json", this.#summary("failed"));
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
