// Writes `numerics.jsonl` of a run.
import { isAbsolute, relative, resolve } from "node:path";
import { readHardware } from "@rfdetr/amp";
import { Forecaster, type ForecastRecord, forecastText, type ModuleRecord, recordLine } from "@rfdetr/amp/records";
import { engine, memory } from "@rfdetr/torch";
import { machineLine } from "../../support/machine/machine.js";
import { fixedBytes } from "../../train/measure/memory-peak.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import type { ControlEvent, StepEvent } from "../events/events.js";
import { remedy as divergenceRemedy } from "../faults/run-messages.js";
import { readLine } from "../files/numerics/numerics-lines.js";
import {
  type ControlRecord,
  type HeaderRecord,
  type MonitorRecord,
  numericsVersion,
  type OverflowRecord,
  type ProgressRecord,
  type StepRecord,
} from "../files/numerics/numerics-records.js";
import { groupRecord, type RankColumns, rankColumns } from "../files/numerics/rank-records.js";
import type { Session } from "../session/session.js";
import { watchInterval } from "../steps/watch-interval.js";
import { droppedLines, type RecordedRollback, type RecordedStep, type Recorder } from "./recorder.js";

const file = "numerics.jsonl";

/** `numerics.jsonl`: a header, then a record for each step, overflow report, watched step, rollback and command. */
export class NumericsRecorder implements Recorder {
  readonly #session: Session;
  readonly #forecaster = new Forecaster();
  /** Modules whose overflow was foreseen before, and told. */
  readonly #foreseen = new Set<string>();
  /** The largest peak that was seen: the watch of a step lets that of the process begin anew. */
  #peakBytes = 0;
  /** The machines of the processes that made the last step, as they were recorded; empty before the first. */
  #hosts: readonly string[] = [];

  constructor(session: Session) {
    this.#session = session;
    const { directory } = session;
    const headed = session.resumed && keepUntilCheckpoint(session, this.#forecaster);
    if (!headed) directory.append(file, `${recordLine(numericsHeader(session))}\n`);
  }

  step(step: RecordedStep): void {
    const { report, seen, ranks } = step;
    this.#peakBytes = Math.max(this.#peakBytes, memory(this.#session.parts.device).peakBytes);
    const lines = [recordLine(stepRecord(this.#session, step, this.#peakBytes))];
    if (ranks !== null) {
      const group = groupRecord(step.event.step, ranks);
      if (group.hosts.join() !== this.#hosts.join()) lines.unshift(recordLine(group));
      this.#hosts = group.hosts;
    }
    if (report !== null) lines.push(recordLine(overflowRecord(report)));
    if (seen !== null) lines.push(recordLine(this.#monitorRecord(step, seen)));
    // One write: a kill leaves all records of a step or the start of them, which a resumed run drops.
    this.#session.directory.append(file, lines.map((line) => `${line}\n`).join(""));
  }

  /** The evaluation of the epoch had a peak of its own. */
  epoch(): void {
    this.#peakBytes = Math.max(this.#peakBytes, memory(this.#session.parts.device).peakBytes);
  }

  #monitorRecord(step: RecordedStep, seen: NonNullable<RecordedStep["seen"]>): MonitorRecord {
    const record = monitorRecord(this.#session, step, seen);
    const forecasts = this.#forecaster.add(record, step.event.totalSteps);
    const news = forecasts.filter(({ path, side }) => !this.#foreseen.has(`${side} ${path}`));
    for (const { path, side } of news) this.#foreseen.add(`${side} ${path}`);
    if (news.length > 0) this.#session.warnings.push(foreseen(news));
    return { ...record, forecasts: forecasts.map((forecast) => rounded(forecast, 4)) };
  }

  rollback({ from, to, lrFactor, fault }: RecordedRollback): void {
    const record = { v: numericsVersion, kind: "rollback", step: from, to_step: to, lr_factor: lrFactor, fault };
    this.#session.directory.append(file, `${recordLine(record)}\n`);
  }

  control({ step, command, by, pattern, rule, overrides }: ControlEvent): void {
    const changes = command === "override" || command === "undo";
    const record: ControlRecord = {
      v: numericsVersion,
      kind: "control",
      step,
      command,
      by,
      pattern,
      rule,
      ...(changes ? { overrides } : {}),
      at: new Date().toISOString(),
    };
    this.#session.directory.append(file, `${recordLine(record)}\n`);
  }
}

/**
 * Drops the records of steps after the checkpoint, and damaged lines, as a power cut or a bad disk leaves them: a log
 * never stands in the way of a resume. @returns whether the file has its header
 */
function keepUntilCheckpoint({ directory, progress, warnings }: Session, forecaster: Forecaster): boolean {
  let headed = false;
  const damaged = directory.keepLines(file, (line) => {
    const record = readLine(line);
    if (record === null) return "damaged";
    if (record.kind === "header") headed = true;
    else if (record.step !== null && record.step > progress.step) return "drop";
    if (record.kind === "monitor") forecaster.add(record);
    return "keep";
  });
  if (damaged > 0) warnings.push(droppedLines(damaged, file));
  return headed;
}

/** Overflows that were not foreseen before, the soonest first, in one warning. */
function foreseen(forecasts: readonly ForecastRecord[]): string {
  const [first, ...others] = forecasts;
  const more =
    others.length === 0
      ? ""
      : `. So does ${others.length === 1 ? others[0].path : `each of ${others.length} other modules`}`;
  const remedy =
    first.dtype === "float16" ? `The rule fp32 for it in precision_overrides avoids that` : divergenceRemedy;
  return `${forecastText(first)}${more}. ${remedy}`;
}

/**
 * Whether the rule `bf16x3` sums three bfloat16 products here; elsewhere its forward is in float32.
 * @param kernels the instructions of the own kernels @param features of the CPU
 * @internal for tests
 */
export function splitsProducts(device: string, kernels: string, features: readonly string[]): boolean {
  const has = (feature: string): boolean => features.includes(feature);
  // Vectors of a CPU with AMX multiply pairs of bfloat16 more slowly than float32.
  const inVectors = kernels === "avx512" && has("avx512_bf16") && !has("amx_bf16");
  return device === "cpu" && (kernels === "amx" || inVectors);
}

function numericsHeader(session: Session): HeaderRecord {
  const { precision, reason, precisionNote, parts, ema, calibration } = session;
  const { policy, overrides } = parts.autocast;
  return {
    v: numericsVersion,
    kind: "header",
    precision,
    reason,
    note: precisionNote,
    policy: policy.name,
    overrides: { ...overrides },
    splits: splitsProducts(parts.device, engine().kernels, readHardware("cpu").features),
    hardware: machineLine(),
    monitor_interval: watchInterval(session),
    fixed_bytes: fixedBytes(parts, ema),
    ...(calibration === null
      ? {}
      : { calibration: calibration.precisions.map(({ modules: _, ...measured }) => measured) }),
  };
}

function stepRecord(
  { precision, progress, parts }: Session,
  { event, result, scale, seconds, phases, report, ranks }: RecordedStep,
  peakBytes: number,
): StepRecord & { ranks?: RankColumns } {
  const { liveBytes } = memory(parts.device);
  return {
    v: numericsVersion,
    kind: "step",
    step: event.step,
    applied_steps: progress.applied,
    epoch: event.epoch,
    precision,
    scale,
    loss: result.loss,
    found_inf: !result.applied,
    skipped: !result.applied,
    grad_norm: result.gradNorm,
    clip_factor: result.clipFactor,
    lr: event.lr,
    bad_parameter: result.fault?.parameter ?? null,
    bad_module: report?.module ?? null,
    fault: result.fault?.what ?? null,
    seconds: milliseconds(seconds),
    memory: {
      live_bytes: liveBytes,
      peak_bytes: peakBytes,
      rss_bytes: event.rssBytes,
      kept_bytes: result.keptBytes,
      half_copy_bytes: result.halfCopyBytes,
    },
    phases: {
      load: milliseconds(phases.load),
      forward: milliseconds(phases.forward),
      loss: milliseconds(phases.loss),
      backward: milliseconds(phases.backward),
      optimizer: milliseconds(phases.optimizer),
    },
    progress: progressRecord(event),
    ...(ranks === null ? {} : { ranks: rankColumns(ranks) }),
  };
}

const progressRecord = (event: StepEvent): ProgressRecord => ({
  step_in_epoch: event.stepInEpoch,
  steps_per_epoch: event.stepsPerEpoch,
  planned_epochs: event.plannedEpochs,
  total_steps: event.totalSteps,
  skipped_steps: event.skippedSteps,
  images_per_second: significant(event.imagesPerSecond, 4),
  seconds_left: Number(event.secondsLeft.toFixed(1)),
});

const overflowRecord = (report: OverflowReport): OverflowRecord => ({
  v: numericsVersion,
  kind: "overflow",
  ...report,
});

/** Seconds to a tenth of a millisecond. */
const milliseconds = (seconds: number): number => Number(seconds.toFixed(4));

function monitorRecord(
  { precision, settings }: Session,
  { event, scale, files }: RecordedStep,
  seen: NonNullable<RecordedStep["seen"]>,
): Omit<MonitorRecord, "forecasts"> {
  const folder = resolve(settings.datasetDir);
  const inFolder = (path: string): string => {
    const inside = relative(folder, path);
    return inside.startsWith("..") || isAbsolute(inside) ? path : inside;
  };
  return {
    v: numericsVersion,
    kind: "monitor",
    step: event.step,
    precision,
    scale,
    forward: seen.forward.map(moduleRecord),
    gradient: seen.gradient.map(moduleRecord),
    updates: seen.updates.map((update) => rounded(update, 4)),
    written_bytes: seen.written,
    images: files.map(inFolder),
    memory: seen.memory,
    seconds: milliseconds(seen.seconds),
  };
}

/** A module with the digits that its figures have: a float32 has seven, a share of a sample four. */
function moduleRecord({ path, dtype, amax, exponents, largest, ...shares }: ModuleRecord): ModuleRecord {
  return {
    path,
    dtype,
    amax: significant(amax, 7),
    ...rounded(shares, 4),
    exponents,
    largest: { ...largest, value: significant(largest.value, 7) },
  };
}

const significant = (value: number, digits: number): number => Number(value.toPrecision(digits));

/** An object with its numbers to so many significant digits. */
function rounded<T>(value: T, digits: number): T {
  if (typeof value === "number") return significant(value, digits) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, rounded(part, digits)])) as T;
}
