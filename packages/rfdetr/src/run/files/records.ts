// What a run writes down: a record a step, a row an epoch, a summary at the end, and the events that say the same.
import { existsSync } from "node:fs";
import { type MonitorRecord, numericsVersion, type OverflowReport, type StepRecord, type Watched } from "@rfdetr/amp";
import { engine, getNumThreads, memory } from "@rfdetr/torch";
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import { machineLine, peakRss } from "../../support/machine.js";
import type { StepResult } from "../../train/step.js";
import { epochMeans } from "../progress.js";
import type { Session } from "../session/session.js";
import type { DoneEvent, EpochEvent, StartEvent } from "./events.js";
import type { RunSummary } from "./run-directory.js";

export function startEvent({ settings, data, directory, modelConfig, parts, progress, ...session }: Session): StartEvent {
  return {
    type: "start",
    dir: directory.path,
    model: settings.model,
    resolution: modelConfig.resolution,
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
    device: parts.device,
    threads: getNumThreads(),
    engine: engine().version,
    hardware: machineLine(),
    seed: session.seed,
    resumedAt: progress.step === 0 ? null : progress.step,
  };
}

/** The gradient scaler's scale; null where gradients are not scaled. */
export function lossScale({ parts: { scaler } }: Session): number | null {
  return scaler.enabled ? scaler.currentScale : null;
}

/** The line of the step just taken in numerics.jsonl; `scale` is the loss scale that it ran with. */
export function stepRecord(
  { precision, progress }: Session,
  result: StepResult,
  { lr, scale, seconds, report }: { lr: number; scale: number; seconds: number; report: OverflowReport | null },
): StepRecord {
  const { liveBytes, peakBytes } = memory();
  return {
    v: numericsVersion,
    kind: "step",
    step: progress.step,
    applied_steps: progress.applied,
    epoch: progress.epoch + 1,
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
    memory: {
      live_bytes: liveBytes,
      peak_bytes: peakBytes,
      rss_bytes: process.memoryUsage.rss(),
      kept_bytes: result.keptBytes,
      half_copy_bytes: result.halfCopyBytes,
    },
  };
}

/** What the monitor saw on the step just taken. */
export function monitorRecord(
  { precision, progress }: Session,
  seen: Watched & Pick<MonitorRecord, "updates">,
  scale: number,
): MonitorRecord {
  return {
    v: numericsVersion,
    kind: "monitor",
    step: progress.step,
    precision,
    scale,
    forward: seen.forward,
    gradient: seen.gradient,
    updates: seen.updates,
    written_bytes: seen.written,
    seconds: Number(seen.seconds.toFixed(4)),
  };
}

/** What an epoch came to; `base` are the figures of the weights that are not averaged, where both were evaluated. */
export interface EpochOutcome {
  summary: CocoSummary | null;
  base: CocoSummary | null;
  best: boolean;
  evaluationSeconds: number;
}

const lossTerms = ["loss_ce", "loss_bbox", "loss_giou", "loss_ce_aux", "loss_bbox_aux", "loss_giou_aux"];
const orNull = (value: number | undefined): number | null => value ?? null;

/** The event of the epoch in progress, which ends with it. */
export function epochEvent(session: Session, { summary, best, evaluationSeconds }: EpochOutcome): EpochEvent {
  const { progress, settings, precision, schedule } = session;
  const { images, seconds } = progress.epochSums;
  return {
    type: "epoch",
    epoch: progress.epoch + 1,
    epochs: settings.epochs,
    step: progress.step,
    ...epochMeans(progress.epochSums),
    lr: schedule.baseRate(Math.max(0, progress.applied - 1)),
    ap: orNull(summary?.AP),
    ap50: orNull(summary?.AP50),
    ap75: orNull(summary?.AP75),
    perClass: summary?.per_class ?? [],
    best,
    seconds,
    evaluationSeconds,
    imagesPerSecond: seconds > 0 ? images / seconds : 0,
    amp: { precision, lossScale: lossScale(session), skipped: progress.skipped },
  };
}

/** The row of an epoch in metrics.csv. */
export function metricsRow(session: Session, event: EpochEvent, { summary, base }: EpochOutcome): Record<string, number | null> {
  const { progress, settings } = session;
  return {
    epoch: event.epoch,
    step: event.step,
    lr: event.lr,
    "train/loss": event.loss,
    ...Object.fromEntries(lossTerms.map((name) => [`train/${name}`, event.terms[name] ?? 0])),
    "val/AP": event.ap,
    "val/AP50": event.ap50,
    "val/AP75": event.ap75,
    "val/AP_small": orNull(summary?.AP_small),
    "val/AP_medium": orNull(summary?.AP_medium),
    "val/AP_large": orNull(summary?.AP_large),
    "val/AR1": orNull(summary?.AR1),
    "val/AR10": orNull(summary?.AR10),
    "val/AR": orNull(summary?.[`AR${settings.evalMaxDets}`]),
    "val/base_AP": orNull(base?.AP),
    "val/base_AP50": orNull(base?.AP50),
    images_per_second: event.imagesPerSecond,
    train_seconds: progress.trainSeconds,
    evaluation_seconds: event.evaluationSeconds,
    skipped_steps: progress.skipped,
    peak_rss_bytes: peakRss(),
  };
}

/** The scalars of an epoch for TensorBoard. */
export function epochScalars(event: EpochEvent, { summary, base }: EpochOutcome): Record<string, number> {
  return {
    "train/loss": event.loss,
    ...Object.fromEntries(Object.entries(event.terms).map(([name, value]) => [`train/${name}`, value])),
    ...(summary === null ? {} : { "val/AP": summary.AP, "val/AP50": summary.AP50, "val/AP75": summary.AP75 }),
    ...(base === null ? {} : { "val/base_AP": base.AP, "val/base_AP50": base.AP50 }),
    "amp/skipped": event.amp.skipped,
  };
}

/** The end of a run that is continued although nothing is left to do: its summary stays as it is, where it was written. */
export function endedBefore(session: Session): DoneEvent {
  const { directory, progress, settings, totalSteps } = session;
  const written = existsSync(directory.file("summary.json")) ? (directory.readJson("summary.json") as RunSummary) : null;
  const best = progress.best === null ? null : directory.best;
  if (written !== null && written.steps === progress.step && written.stop_reason !== "interrupted" && written.stop_reason !== "failed")
    return { type: "done", summary: written, dir: directory.path, best };
  // Killed between its last checkpoint and its summary.
  const early = progress.epoch < settings.epochs && progress.step < totalSteps;
  const reached = settings.maxSteps !== null && progress.step >= settings.maxSteps;
  const summary = runSummary(session, early ? "early_stopping" : reached ? "max_steps" : "finished");
  directory.writeJson("summary.json", summary);
  return { type: "done", summary, dir: directory.path, best };
}

export function runSummary({ progress, precision, reason }: Session, stopReason: RunSummary["stop_reason"]): RunSummary {
  return {
    AP: progress.best?.AP ?? null,
    AP50: progress.best?.AP50 ?? null,
    precision,
    reason,
    epochs: progress.epoch,
    steps: progress.step,
    skipped_steps: progress.skipped,
    train_seconds: Number(progress.trainSeconds.toFixed(3)),
    peak_rss_bytes: peakRss(),
    stop_reason: stopReason,
  };
}
