// The summary of a numerics.jsonl file on one page.
import { median } from "./median.js";
import { formatOverflowReport, type OverflowReport } from "./overflow-report.js";
import {
  type HeaderRecord,
  type ModuleRecord,
  type MonitorRecord,
  numericsVersion,
  parseRecord,
  type RollbackRecord,
  type StepRecord,
} from "./step-record.js";
import { formatBytes, textTable } from "./text.js";

/** The extremes of one module over all watched steps. */
export interface WorstModule {
  /** The path of the module; `(model)` for the root. */
  path: string;
  /** Whether the values are outputs or gradients. */
  side: "forward" | "gradient";
  /** The largest absolute value; NaN where one was NaN. Gradients include the loss scale. */
  amax: number;
  /** The largest share of one step, 0 to 1, that exceeds float16's 65504. */
  fp16_saturate: number;
  /** The largest share of one step, 0 to 1, that float16 rounds to zero. */
  fp16_flush: number;
  /** The largest share of one step, 0 to 1, that is NaN or infinite. */
  non_finite: number;
}

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
  /** The memory of the run; null without a step. */
  memory: NumericsMemory | null;
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
}

/**
 * Summarizes the text of a numerics.jsonl file. Lines that cannot be read are counted and skipped.
 * @example
 * import { readFileSync } from "node:fs";
 * import { formatNumerics, summarizeNumerics } from "@rfdetr/amp";
 * console.log(formatNumerics(summarizeNumerics(readFileSync("numerics.jsonl", "utf8"))));
 */
export function summarizeNumerics(text: string): NumericsSummary {
  const steps: StepRecord[] = [];
  const monitors: MonitorRecord[] = [];
  const overflows: OverflowReport[] = [];
  const rollbacks: RollbackRecord[] = [];
  let header: HeaderRecord | null = null;
  let unread = 0;
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    let record: { v?: number; kind?: string };
    try {
      record = parseRecord(line);
    } catch {
      unread++;
      continue;
    }
    if (record.v !== numericsVersion) unread++;
    else if (record.kind === "step") steps.push(record as StepRecord);
    else if (record.kind === "monitor") monitors.push(record as MonitorRecord);
    else if (record.kind === "overflow") overflows.push(record as OverflowReport);
    else if (record.kind === "rollback") rollbacks.push(record as RollbackRecord);
    else if (record.kind === "header") header = record as HeaderRecord;
    else unread++;
  }
  const skipped = steps.filter((s) => s.skipped).length;
  return {
    header,
    steps: steps.length,
    applied: steps.length - skipped,
    skipped,
    spans: spansOf(steps),
    scale_changes: changesOf(steps),
    worst: worstOf(monitors),
    overflows,
    rollbacks,
    updates: updatesOf(monitors),
    memory: memoryOf(header, steps, monitors),
    unread,
  };
}

function updatesOf(monitors: readonly MonitorRecord[]): NumericsSummary["updates"] {
  const all = monitors.flatMap(({ updates }) => updates);
  if (all.length === 0) return null;
  const largest = new Map<string, number>();
  for (const { name, ratio } of all) largest.set(name, Math.max(largest.get(name) ?? 0, ratio));
  return {
    median_ratio: median(all.map(({ ratio }) => ratio)),
    bf16_lost: all.reduce((sum, { bf16_lost }) => sum + bf16_lost, 0) / all.length,
    largest: [...largest]
      .map(([name, ratio]) => ({ name, ratio }))
      .sort((a, b) => b.ratio - a.ratio)
      .slice(0, 3),
  };
}

function memoryOf(
  header: HeaderRecord | null,
  steps: readonly StepRecord[],
  monitors: readonly MonitorRecord[],
): NumericsMemory | null {
  if (steps.length === 0) return null;
  const most = (value: (s: StepRecord) => number | undefined): number =>
    steps.reduce((peak, s) => Math.max(peak, value(s) ?? 0), 0);
  return {
    fixed: header?.fixed_bytes ?? null,
    half_copies: most((s) => s.memory.half_copy_bytes),
    kept: most((s) => s.memory.kept_bytes),
    peak: most((s) => s.memory.peak_bytes),
    peak_rss: most((s) => s.memory.rss_bytes),
    written: monitors.findLast(({ written_bytes }) => written_bytes !== undefined)?.written_bytes ?? null,
  };
}

function spansOf(steps: readonly StepRecord[]): NumericsSummary["spans"] {
  const size = Math.max(1, Math.ceil(steps.length / 20));
  const spans: NumericsSummary["spans"] = [];
  for (let i = 0; i < steps.length; i += size) {
    const span = steps.slice(i, i + size);
    const good = span.filter((s) => !s.skipped);
    const mean = (value: (s: StepRecord) => number): number =>
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
      clipped: mean((s) => (s.clip_factor < 1 ? 1 : 0)),
    });
  }
  return spans;
}

function changesOf(steps: readonly StepRecord[]): NumericsSummary["scale_changes"] {
  return steps.flatMap(({ step, scale }, i) => (scale === steps[i - 1]?.scale ? [] : [{ step, scale }]));
}

/**
 * The ten modules that come closest to the limit of float16 or exceed it: by share not finite, then by largest value.
 */
function worstOf(monitors: readonly MonitorRecord[]): WorstModule[] {
  const places = new Map<string, WorstModule>();
  const add = (side: WorstModule["side"], m: ModuleRecord): void => {
    const key = `${side} ${m.path}`;
    const seen = places.get(key) ?? { path: m.path, side, amax: 0, fp16_saturate: 0, fp16_flush: 0, non_finite: 0 };
    places.set(key, {
      ...seen,
      amax: Math.max(seen.amax, m.amax),
      fp16_saturate: Math.max(seen.fp16_saturate, m.fp16_saturate),
      fp16_flush: Math.max(seen.fp16_flush, m.fp16_flush),
      non_finite: Math.max(seen.non_finite, m.non_finite),
    });
  };
  for (const record of monitors) {
    for (const module of record.forward) add("forward", module);
    for (const module of record.gradient) add("gradient", module);
  }
  const size = (m: WorstModule): number => (Number.isNaN(m.amax) ? Number.POSITIVE_INFINITY : m.amax);
  return [...places.values()].sort((a, b) => b.non_finite - a.non_finite || size(b) - size(a)).slice(0, 10);
}

/** The summary as text for a terminal. */
export function formatNumerics(summary: NumericsSummary): string {
  const { header } = summary;
  const share = (value: number): string => `${(100 * value).toFixed(value > 0 && value < 0.001 ? 3 : 1)} %`;
  const brief = (value: number): string => (Number.isFinite(value) ? value.toPrecision(4) : String(value));
  const parts: string[] = [];
  if (header !== null)
    parts.push(
      `${header.precision}: ${header.reason}${header.note === null ? "" : `\n${header.note}`}\n${header.hardware}; policy ${header.policy}`,
    );
  parts.push(
    `${summary.steps} steps, ${summary.applied} applied, ${summary.skipped} skipped${summary.unread > 0 ? `; ${summary.unread} lines could not be read` : ""}`,
  );
  if (summary.spans.length > 0)
    parts.push(
      textTable(
        ["steps", "skipped", "scale", "loss", "gradient norm", "clipped"],
        summary.spans.map((s) => [
          `${s.first}–${s.last}`,
          String(s.skipped),
          String(s.scale),
          brief(s.loss),
          brief(s.grad_norm),
          share(s.clipped),
        ]),
      ),
    );
  if (summary.scale_changes.length > 1)
    parts.push(`Loss scale: ${summary.scale_changes.map((c) => `${c.scale} from step ${c.step}`).join(", ")}`);
  if (summary.worst.length > 0)
    parts.push(
      `Largest values on watched steps:\n${textTable(
        ["module", "side", "amax", "past float16", "flushed by float16", "not finite"],
        summary.worst.map((m) => [
          m.path,
          m.side,
          brief(m.amax),
          share(m.fp16_saturate),
          share(m.fp16_flush),
          share(m.non_finite),
        ]),
      )}`,
    );
  if (summary.updates !== null)
    parts.push(
      `Updates: ‖Δw‖/‖w‖ is ${summary.updates.median_ratio.toExponential(1)} at the median, largest in ${summary.updates.largest.map(({ name, ratio }) => `${name} (${ratio.toExponential(1)})`).join(", ")}; weights kept in bfloat16 would have lost ${share(summary.updates.bf16_lost)} of the changes`,
    );
  if (summary.memory !== null) parts.push(memoryText(summary.memory));
  for (const { step, to_step, lr_factor, fault } of summary.rollbacks)
    parts.push(
      `Step ${step}: back to the state after step ${to_step}, learning rates times ${lr_factor} (${fault} not finite)`,
    );
  for (const report of summary.overflows) parts.push(formatOverflowReport(report));
  return parts.join("\n\n");
}

function memoryText({ fixed, half_copies, kept, peak, peak_rss, written }: NumericsMemory): string {
  const lines = [`Memory: peak of tensors ${formatBytes(peak)}, of the process ${formatBytes(peak_rss)}`];
  if (fixed)
    lines.push(
      `  the same in every precision: weights ${formatBytes(fixed.weights)}, gradients ${formatBytes(fixed.gradients)}, moments ${formatBytes(fixed.moments)}, average ${formatBytes(fixed.average)}`,
    );
  if (kept > 0)
    lines.push(
      `  kept for backward by one forward: ${formatBytes(kept)}; low-precision copies of the weights: ${formatBytes(half_copies)}`,
    );
  if (written !== null && written.half > 0)
    lines.push(
      `  one forward wrote ${formatBytes(written.half)} in low precision and ${formatBytes(written.full)} in float32; 32-true would have written ${formatBytes(written.half)} more`,
    );
  return lines.join("\n");
}
