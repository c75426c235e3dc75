// The summary of a numerics.jsonl file.

import { median } from "../median.js";
import { Forecaster } from "./forecast.js";
import type { OverflowReport } from "./overflow-report.js";
import {
  type ControlRecord,
  type ForecastRecord,
  type HeaderRecord,
  type MonitorRecord,
  numericsVersion,
  type PeakMemory,
  type PhaseSeconds,
  parseRecord,
  type RollbackRecord,
  type StepRecord,
} from "./step-record.js";
import { type WorstModule, WorstModules } from "./worst-modules.js";

/** The summary of all records of a run. */
export interface NumericsSummary {
  /** The first line of the file; null where it is missing. */
  header: HeaderRecord | null;
  /** Optimizer steps that were tried: those applied and those skipped. */
  steps: number;
  applied: number;
  skipped: number;
  /**
   * Up to twenty spans of equally many steps. `loss`, `grad_norm` and `clipped` (the share of steps that were clipped)
   * are means over the applied steps of a span. `scale` is that of its last step.
   */
  spans: {
    first: number;
    last: number;
    skipped: number;
    scale: number;
    loss: number;
    grad_norm: number;
    clipped: number;
  }[];
  /** The first step of the run, and the first step with each new loss scale. */
  scale_changes: { step: number; scale: number }[];
  /** The ten modules that come closest to the limit of float16 or exceed it, worst first. */
  worst: WorstModule[];
  /** The overflows that are foreseen at the last watched step, the soonest first. */
  forecasts: ForecastRecord[];
  /** The faults that were found by replays. */
  overflows: OverflowReport[];
  /** The returns to an earlier checkpoint. */
  rollbacks: RollbackRecord[];
  /** How the optimizer moved the weights on watched steps; null where none was watched. */
  updates: {
    /** The median of ‖Δw‖ / ‖w‖ over parameters and watched steps. */
    median_ratio: number;
    /** The mean share of changed weights, 0 to 1, whose change bfloat16 master weights would have lost. */
    bf16_lost: number;
    /** The three parameters with the largest ‖Δw‖ / ‖w‖, and that ratio. */
    largest: { name: string; ratio: number }[];
  } | null;
  /** Mean seconds of a step by phase; null where no step tells. */
  phases: PhaseSeconds | null;
  /** The memory of the run; null without a step. */
  memory: NumericsMemory | null;
  /** The commands to the run, and the changes of precision that its settings asked for. */
  controls: ControlRecord[];
  /** The number of lines that are not records of this version. A killed run may leave an incomplete last line. */
  unread: number;
}

/** The memory of a run in bytes: peaks over all steps, of tensors unless said otherwise. */
export interface NumericsMemory {
  /** What every precision needs alike; null where the header does not say. */
  fixed: HeaderRecord["fixed_bytes"] | null;
  /** The float16 or bfloat16 copies of the weights. */
  half_copies: number;
  /** What one forward kept for backward. */
  kept: number;
  /** All tensors. */
  peak: number;
  /** The resident memory of the process. */
  peak_rss: number;
  /**
   * What one watched forward wrote: `half` in float16 and bfloat16, `full` in float32. Null where none was watched.
   * `32-true` writes twice the bytes of `half`.
   */
  written: { half: number; full: number } | null;
  /** What the step with the highest peak held then, of those that were looked at; null where the file does not tell. */
  at_peak: PeakMemory | null;
}

/** What the summary needs of a step: long runs have a million of them. */
interface BriefStep extends Pick<StepRecord, "step" | "skipped" | "scale" | "loss" | "grad_norm"> {
  clipped: boolean;
}

/**
 * Summarizes a numerics.jsonl file. Lines that cannot be read are counted and skipped.
 * @param source the text of the file, or its lines one by one where it is long
 * @example
 * import { readFileSync } from "node:fs";
 * import { formatNumerics, summarizeNumerics } from "@rfdetr/amp";
 * console.log(formatNumerics(summarizeNumerics(readFileSync("numerics.jsonl", "utf8"))));
 */
export function summarizeNumerics(source: string | Iterable<string>): NumericsSummary {
  const steps: BriefStep[] = [];
  const memory = new MemoryPeaks();
  const modules = new WorstModules();
  const updates = new Updates();
  const overflows: OverflowReport[] = [];
  const rollbacks: RollbackRecord[] = [];
  const controls: ControlRecord[] = [];
  const forecaster = new Forecaster();
  const phases = new PhaseMeans();
  let forecasts: ForecastRecord[] = [];
  let header: HeaderRecord | null = null;
  let unread = 0;
  const take = (record: { v?: number; kind?: string }): void => {
    if (record.v !== numericsVersion) unread++;
    else if (record.kind === "step") {
      const { step, skipped, scale, loss, grad_norm, clip_factor } = record as StepRecord;
      memory.addStep(record as StepRecord);
      phases.add(record as StepRecord);
      steps.push({ step, skipped, scale, loss, grad_norm, clipped: clip_factor < 1 });
    } else if (record.kind === "monitor") {
      modules.add(record as MonitorRecord);
      updates.add(record as MonitorRecord);
      memory.addMonitor(record as MonitorRecord);
      forecasts = forecaster.add(record as MonitorRecord);
    } else if (record.kind === "overflow") overflows.push(record as OverflowReport);
    else if (record.kind === "rollback") rollbacks.push(record as RollbackRecord);
    else if (record.kind === "control") controls.push(record as ControlRecord);
    else if (record.kind === "header") header = record as HeaderRecord;
    // Who knows of processes tells of the group.
    else if (record.kind !== "group") unread++;
  };
  for (const line of typeof source === "string" ? source.split("\n") : source) {
    if (line.trim() === "") continue;
    try {
      take(parseRecord(line));
    } catch {
      unread++;
    }
  }
  const skipped = steps.filter((step) => step.skipped).length;
  return {
    header,
    steps: steps.length,
    applied: steps.length - skipped,
    skipped,
    spans: spansOf(steps),
    scale_changes: changesOf(steps),
    worst: modules.worst(),
    forecasts,
    overflows,
    rollbacks,
    updates: updates.summary(),
    phases: phases.means(),
    memory: steps.length === 0 ? null : memory.summary(header),
    controls,
    unread,
  };
}

class Updates {
  readonly #ratios: number[] = [];
  readonly #largest = new Map<string, number>();
  #lost = 0;

  add({ updates }: MonitorRecord): void {
    for (const { name, ratio, bf16_lost } of updates) {
      this.#ratios.push(ratio);
      this.#lost += bf16_lost;
      this.#largest.set(name, Math.max(this.#largest.get(name) ?? 0, ratio));
    }
  }

  summary(): NumericsSummary["updates"] {
    if (this.#ratios.length === 0) return null;
    return {
      median_ratio: median(this.#ratios),
      bf16_lost: this.#lost / this.#ratios.length,
      largest: [...this.#largest]
        .map(([name, ratio]) => ({ name, ratio }))
        .sort((a, b) => b.ratio - a.ratio)
        .slice(0, 3),
    };
  }
}

class PhaseMeans {
  readonly #sums: PhaseSeconds = { load: 0, forward: 0, loss: 0, backward: 0, optimizer: 0 };
  #steps = 0;

  add({ phases }: StepRecord): void {
    if (phases === undefined) return;
    this.#steps++;
    for (const name of Object.keys(this.#sums) as (keyof PhaseSeconds)[]) this.#sums[name] += phases[name];
  }

  means(): PhaseSeconds | null {
    if (this.#steps === 0) return null;
    const { load, forward, loss, backward, optimizer } = this.#sums;
    const mean = (sum: number): number => sum / this.#steps;
    return {
      load: mean(load),
      forward: mean(forward),
      loss: mean(loss),
      backward: mean(backward),
      optimizer: mean(optimizer),
    };
  }
}

class MemoryPeaks {
  readonly #peaks = { half_copies: 0, kept: 0, peak: 0, peak_rss: 0 };
  #written: NumericsMemory["written"] = null;
  #atPeak: PeakMemory | null = null;

  addStep({ memory }: StepRecord): void {
    const peaks = this.#peaks;
    peaks.half_copies = Math.max(peaks.half_copies, memory.half_copy_bytes ?? 0);
    peaks.kept = Math.max(peaks.kept, memory.kept_bytes ?? 0);
    peaks.peak = Math.max(peaks.peak, memory.peak_bytes ?? 0);
    peaks.peak_rss = Math.max(peaks.peak_rss, memory.rss_bytes ?? 0);
  }

  addMonitor({ written_bytes, memory }: MonitorRecord): void {
    this.#written = written_bytes ?? this.#written;
    // The first step is watched itself, and needs more than those after it.
    const least = this.#atPeak === null || this.#atPeak.step === 1 ? 0 : this.#atPeak.bytes;
    if (memory !== undefined && memory.bytes > least) this.#atPeak = memory;
  }

  summary(header: HeaderRecord | null): NumericsMemory {
    return { fixed: header?.fixed_bytes ?? null, ...this.#peaks, written: this.#written, at_peak: this.#atPeak };
  }
}

function spansOf(steps: readonly BriefStep[]): NumericsSummary["spans"] {
  const size = Math.max(1, Math.ceil(steps.length / 20));
  const spans: NumericsSummary["spans"] = [];
  for (let i = 0; i < steps.length; i += size) {
    const span = steps.slice(i, i + size);
    const good = span.filter((s) => !s.skipped);
    const mean = (value: (s: BriefStep) => number): number =>
      good.length === 0 ? Number.NaN : good.reduce((sum, s) => sum + value(s), 0) / good.length;
    const first = span.at(0);
    const last = span.at(-1);
    if (first === undefined || last === undefined) break;
    spans.push({
      first: first.step,
      last: last.step,
      skipped: span.length - good.length,
      scale: last.scale,
      loss: mean((s) => s.loss),
      grad_norm: mean((s) => s.grad_norm),
      clipped: mean((s) => (s.clipped ? 1 : 0)),
    });
  }
  return spans;
}

function changesOf(steps: readonly BriefStep[]): NumericsSummary["scale_changes"] {
  return steps.flatMap(({ step, scale }, i) => (scale === steps[i - 1]?.scale ? [] : [{ step, scale }]));
}
