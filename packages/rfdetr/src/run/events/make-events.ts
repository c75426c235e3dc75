// The events of a run and its summary, made from the state of the session.
import { existsSync } from "node:fs";
import { readHardware } from "@rfdetr/amp";
import { getNumThreads } from "@rfdetr/torch";
import type { CocoFigures } from "../../eval/coco/coco-summary.js";
import { overridesAt } from "../../settings/precision-changes.js";
import { machineLine, peakRss } from "../../support/machine/machine.js";
import type { StepResult } from "../../train/step/step.js";
import { readSummary } from "../files/read-summary.js";
import type { RunSummary } from "../files/run-directory.js";
import { leftOutOf } from "../ranks/leader.js";
import { runVersions } from "../session/run-config.js";
import type { Session } from "../session/session.js";
import { effectiveBatch, microBatchesOf } from "../session/training-data.js";
import { compactTerms, epochMeans, lrFactorOf, stepsLeft } from "../steps/progress.js";
import type { EpochFigures } from "../steps/scheduled-evaluation.js";
import type { DoneEvent, EpochEvent, MaskFigures, StartEvent, StepEvent, StepFault } from "./events.js";

/** The first event of a run, new or resumed. */
export function startEvent({
  settings,
  data,
  directory,
  modelConfig,
  parts,
  progress,
  ...session
}: Session): StartEvent {
  return {
    type: "start",
    dir: directory.path,
    versions: runVersions(),
    data: settings.datasetDir,
    model: settings.model,
    weights: settings.weights,
    resolution: modelConfig.resolution,
    scales: session.scales,
    parameters: session.parameters,
    classes: [...data.classNames],
    trainImages: data.trainImages,
    validImages: data.validImages,
    stepsPerEpoch: session.stepsPerEpoch,
    totalSteps: session.totalSteps,
    epochs: settings.epochs,
    evalInterval: settings.evalInterval,
    lr: settings.lr,
    lrEncoder: settings.lrEncoder,
    timeBudget: settings.timeBudget,
    batch: effectiveBatch(settings),
    accumulate: microBatchesOf(settings),
    processes: session.leader.ranks.size,
    precision: session.precision,
    reason: session.reason,
    precisionNote: session.precisionNote,
    overrides: { ...overridesAt(settings, progress.step + 1) },
    device: parts.device,
    deviceName: nameOf(parts.device),
    threads: getNumThreads(),
    hardware: machineLine(),
    seed: session.seed,
    resumedAt: progress.step === 0 ? null : progress.step,
  };
}

/** The name of a GPU; null for a CPU, and where the driver does not tell. */
function nameOf(device: string): string | null {
  const name = device === "cpu" ? device : readHardware(device).name;
  return name === device ? null : name;
}

type StepFigures = Pick<StepEvent, "plannedEpochs" | "lr" | "size" | "imagesPerSecond" | "secondsLeft">;

/** The gradient scaler's scale; null where gradients are not scaled. */
function lossScale({ parts: { scaler } }: Session): number | null {
  return scaler.enabled ? scaler.currentScale : null;
}

/**
 * The event of the step that `session.progress` counted last.
 * @param about `scale` is the loss scale of the step, `place` where a faulty one first was not finite
 */
export function stepEvent(
  session: Session,
  result: StepResult,
  { scale, place, ...figures }: StepFigures & { scale: number; place: Omit<StepFault, "what" | "scale"> },
): StepEvent {
  const { progress, precision, stepsPerEpoch } = session;
  return {
    type: "step",
    epoch: progress.epoch + 1,
    step: progress.step,
    totalSteps: progress.step + stepsLeft(session),
    stepInEpoch: progress.stepInEpoch,
    stepsPerEpoch,
    loss: result.loss,
    gradNorm: result.gradNorm,
    rssBytes: process.memoryUsage.rss(),
    precision,
    lossScale: lossScale(session),
    skipped: !result.applied,
    fault: result.applied ? null : { what: result.fault?.what ?? "step", scale, ...place },
    skippedSteps: progress.skipped,
    ...figures,
  };
}

/**
 * The event of the epoch in progress, which ends with it; `evaluationSeconds` is 0 or more also where nothing was
 * evaluated.
 */
export function epochEvent(
  session: Session,
  {
    figures: { summary, loss },
    ...about
  }: { figures: Pick<EpochFigures, "summary" | "loss"> } & Pick<
    EpochEvent,
    "best" | "evaluationSeconds" | "plannedEpochs"
  >,
): EpochEvent {
  const { progress, settings, precision, schedule, modelConfig } = session;
  const { images, seconds } = progress.epochSums;
  return {
    type: "epoch",
    epoch: progress.epoch + 1,
    epochs: settings.epochs,
    step: progress.step,
    ...epochMeans(progress.epochSums),
    lr: schedule.baseRate(Math.max(0, progress.applied - 1)) * lrFactorOf(session),
    valLoss: loss?.loss ?? null,
    valTerms: loss === null ? {} : Object.fromEntries(compactTerms(new Map(Object.entries(loss.terms)))),
    ap: summary?.AP ?? null,
    ap50: summary?.AP50 ?? null,
    ap75: summary?.AP75 ?? null,
    perClass: summary?.per_class ?? [],
    ...(modelConfig.segmentationHead ? { masks: maskFigures(summary?.masks) } : {}),
    ...about,
    seconds,
    imagesPerSecond: seconds > 0 ? images / seconds : 0,
    amp: { precision, lossScale: lossScale(session), skipped: progress.skipped },
  };
}

/** The figures of masks as events have them. */
export function maskFigures(masks: CocoFigures | undefined): MaskFigures {
  return {
    ap: masks?.AP ?? null,
    ap50: masks?.AP50 ?? null,
    ap75: masks?.AP75 ?? null,
    perClass: masks?.per_class ?? [],
  };
}

/** The last event of a run. */
export function doneEvent(
  { directory, progress }: Pick<Session, "directory" | "progress">,
  summary: RunSummary,
): DoneEvent {
  return {
    type: "done",
    endedBefore: false,
    summary,
    dir: directory.path,
    best: progress.best !== null && existsSync(directory.best) ? directory.best : null,
    last: existsSync(directory.last) ? directory.last : null,
  };
}

/** What `summary.json` holds. */
export function runSummary(
  { progress, precision, reason, started, data, leader, modelConfig }: Session,
  stopReason: RunSummary["stop_reason"],
  error: unknown,
): RunSummary {
  const stopped = stopReason === "callback" ? progress.callbacks?.stopped : null;
  return {
    AP: progress.best?.AP ?? null,
    AP50: progress.best?.AP50 ?? null,
    ...(modelConfig.segmentationHead
      ? { mask_AP: progress.best?.masks?.AP ?? null, mask_AP50: progress.best?.masks?.AP50 ?? null }
      : {}),
    precision,
    reason,
    epochs: progress.epoch,
    steps: progress.step,
    skipped_steps: progress.skipped,
    bad_images: leftOutOf({ data, leader }).size,
    train_seconds: Number(progress.trainSeconds.toFixed(3)),
    processes: leader.ranks.size,
    peak_rss_bytes: peakRss(),
    stop_reason: stopReason,
    ...(stopped != null && { stop_message: stopped }),
    best_epoch: progress.best?.epoch ?? null,
    error: error === null ? null : error instanceof Error ? error.message : String(error),
    started,
    versions: runVersions(),
  };
}

/**
 * The summary that a finished run has written; null where it was killed between its last checkpoint and its summary, or
 * where the file is damaged.
 */
export function writtenSummary({ directory, progress }: Pick<Session, "directory" | "progress">): RunSummary | null {
  const written = readSummary(directory);
  if (written === null || written.steps !== progress.step) return null;
  return written.stop_reason === "interrupted" || written.stop_reason === "failed" ? null : written;
}

/** Why a run that has taken its last step has no more. */
export function endOfSteps({ progress, settings, totalSteps }: Session): RunSummary["stop_reason"] {
  if (progress.plannedSteps !== undefined) return "time_budget";
  return settings.maxSteps !== null && totalSteps >= settings.maxSteps ? "max_steps" : "finished";
}

/** Why a finished run ended, as its checkpoint tells. */
export function reasonOfEnd(session: Session): RunSummary["stop_reason"] {
  const { progress, settings, totalSteps } = session;
  if (progress.callbacks?.stopped != null) return "callback";
  if (progress.epoch < settings.epochs && progress.step < totalSteps) return "early_stopping";
  return endOfSteps(session);
}
