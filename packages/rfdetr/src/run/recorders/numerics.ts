import { type HeaderRecord, type MonitorRecord, numericsVersion, recordLine, type StepRecord } from "@rfdetr/amp";
import { memory, type Tensor } from "@rfdetr/torch";
import { machineLine } from "../../support/machine.js";
import type { Session } from "../session/session.js";
import { droppedLines, type RecordedRollback, type RecordedStep, type Recorder } from "./recorder.js";

const file = "numerics.jsonl";

/** `numerics.jsonl`: a header, then a record for each step, overflow report, watched step and rollback. */
export class NumericsRecorder implements Recorder {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
    const { directory } = session;
    const headed = session.resumed && keepUntilCheckpoint(session);
    if (!headed) directory.append(file, `${recordLine(numericsHeader(session))}\n`);
  }

  step(step: RecordedStep): void {
    const { report, seen } = step;
    const lines = [recordLine(stepRecord(this.#session, step))];
    if (report !== null) lines.push(recordLine(report));
    if (seen !== null) lines.push(recordLine(monitorRecord(this.#session, step, seen)));
    // One write: a kill leaves all records of a step or the start of them, which a resumed run drops.
    this.#session.directory.append(file, lines.map((line) => `${line}\n`).join(""));
  }

  rollback({ from, to, lrFactor, fault }: RecordedRollback): void {
    const record = { v: numericsVersion, kind: "rollback", step: from, to_step: to, lr_factor: lrFactor, fault };
    this.#session.directory.append(file, `${recordLine(record)}\n`);
  }
}

/**
 * Drops the records of steps after the checkpoint, and damaged lines, as a power cut or a bad disk leaves them: a log
 * never stands in the way of a resume. @returns whether the file has its header
 */
function keepUntilCheckpoint({ directory, progress, warnings }: Session): boolean {
  let headed = false;
  const damaged = directory.keepLines(file, (line) => {
    const record = parsed(line);
    if (record === null) return "damaged";
    if (record.kind === "header") headed = true;
    return record.step <= progress.step ? "keep" : "drop";
  });
  if (damaged > 0) warnings.push(droppedLines(damaged, file));
  return headed;
}

function parsed(line: string | null): { kind: string; step: number } | null {
  try {
    const { kind, step } = JSON.parse(line ?? "") as { kind?: unknown; step?: unknown };
    if (kind === "header") return { kind, step: 0 };
    return typeof kind === "string" && typeof step === "number" ? { kind, step } : null;
  } catch {
    return null;
  }
}

function numericsHeader({ precision, reason, parts, settings, ema, calibration }: Session): HeaderRecord {
  const { policy, overrides } = parts.autocast;
  const note = settings.notes === null ? null : JSON.stringify(settings.notes);
  return {
    v: numericsVersion,
    kind: "header",
    precision,
    reason,
    note,
    policy: policy.name,
    overrides: { ...overrides },
    hardware: machineLine(),
    monitor_interval: settings.monitorInterval,
    fixed_bytes: fixedBytes({ parts, ema }),
    ...(calibration === null
      ? {}
      : { calibration: calibration.precisions.map(({ modules: _, ...measured }) => measured) }),
  };
}

/** Bytes of what is the same in every precision. */
function fixedBytes({ parts: { model, optimizer }, ema }: Pick<Session, "parts" | "ema">): HeaderRecord["fixed_bytes"] {
  const bytes = (tensors: Iterable<Tensor>): number => [...tensors].reduce((sum, tensor) => sum + tensor.nbytes, 0);
  const weights = bytes(model.stateDict().values());
  const gradients = bytes(optimizer.parameters);
  const moments = bytes(optimizer.stateTensors());
  return { weights, gradients, moments, average: ema === null ? 0 : weights };
}

function stepRecord(
  { precision, progress, parts }: Session,
  { event, result, scale, seconds, report }: RecordedStep,
): StepRecord {
  const { liveBytes, peakBytes } = memory(parts.device);
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
    seconds: Number(seconds.toFixed(4)),
    memory: {
      live_bytes: liveBytes,
      peak_bytes: peakBytes,
      rss_bytes: event.rssBytes,
      kept_bytes: result.keptBytes,
      half_copy_bytes: result.halfCopyBytes,
    },
  };
}

function monitorRecord(
  { precision }: Session,
  { event, scale }: RecordedStep,
  seen: NonNullable<RecordedStep["seen"]>,
): MonitorRecord {
  return {
    v: numericsVersion,
    kind: "monitor",
    step: event.step,
    precision,
    scale,
    forward: seen.forward,
    gradient: seen.gradient,
    updates: seen.updates,
    written_bytes: seen.written,
    seconds: Number(seen.seconds.toFixed(4)),
  };
}
