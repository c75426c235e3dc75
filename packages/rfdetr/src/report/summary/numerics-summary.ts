// The numerics of a run as one page says them.
import { type ForecastRecord, type Headroom, headroomOf } from "@rfdetr/amp/records";
import type {
  ControlRecord,
  HeaderRecord,
  PhaseSeconds,
  RollbackRecord,
} from "../../run/files/numerics/numerics-records.js";
import { median } from "../../support/statistics.js";
import type { PeakMemory } from "../../train/measure/memory-peak.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import { lostInBfloat16, muchFlushed, nearestToEnd, type Overall, overallOf, type Side } from "../numerics/overall.js";
import type { Excerpt, NumericsRecord } from "../records/numerics-record.js";
import type { RankSummary } from "../records/ranks.js";
import { meanOf, mostOf } from "../records/step-points.js";

/** What `rfdetr numerics --json` prints. */
export interface NumericsSummary {
  /** The first line of the file; null where it is missing. */
  header: HeaderRecord | null;
  /** Optimizer steps that were tried: those applied and those skipped. */
  steps: number;
  applied: number;
  skipped: number;
  /**
   * Spans of equally many steps, as many as the record has points. `loss` and `grad_norm` are means over its
   * finite values, NaN without any; `scale` is that of its last step, `clip_factor` the least.
   */
  spans: {
    first: number;
    last: number;
    skipped: number;
    scale: number;
    loss: number;
    grad_norm: number;
    clip_factor: number;
  }[];
  /** The first step of the run, and the first with each new loss scale. */
  scale_changes: Excerpt<{ step: number; scale: number }>;
  /**
   * The side of a module that came closest to overflow in the narrowest dtype of the run, of those whose largest value
   * is in it, the bits that were left, and at which watched step; null where none was watched.
   */
  nearest: { path: string; side: Side; dtype: string; bits: number; step: number } | null;
  /** The ten modules that come closest to the limit of float16 or exceed it, worst first, whatever dtype holds them. */
  worst: WorstModule[];
  /** The ten modules of which float16 makes most zero, more than 5 % of the values, worst first. */
  flushed: WorstModule[];
  /** The overflows that are foreseen at the last watched step, the soonest first. */
  forecasts: ForecastRecord[];
  /** The faults that were found by replays. */
  overflows: Excerpt<OverflowReport>;
  /** The returns to an earlier checkpoint. */
  rollbacks: Excerpt<RollbackRecord>;
  /** How the optimizer moved the weights on watched steps; null where none was watched. */
  updates: {
    /** The median of ‖Δw‖ / ‖w‖ over the parameters on the last watched step. */
    median_ratio: number;
    /** The mean share of changed weights, 0 to 1, whose change bfloat16 master weights would have lost. */
    bf16_lost: number;
    /** The three parameters with the largest ‖Δw‖ / ‖w‖ of all watched steps, and that ratio. */
    largest: { name: string; ratio: number }[];
  } | null;
  /** Mean seconds of a step; null without one. */
  step_seconds: number | null;
  /** The same by phase, without what passes between the steps; null without a step. */
  phases: PhaseSeconds | null;
  /** The memory of the run; null without a step. */
  memory: NumericsMemory | null;
  /** The commands to the run, and the changes of precision that its settings asked for. */
  controls: Excerpt<ControlRecord>;
  /** What is wrong with the file, in words. */
  faults: string[];
  /** The processes of the last steps, without their curves; null for a run of one process. */
  processes: Omit<RankSummary, "points"> | null;
}

/** The extremes of one side of a module over the watched steps that were applied, where there are any. */
export interface WorstModule {
  /** The dtype of the largest value: beyond float16, it overflows only in float16. */
  dtype: string;
  /** The path of the module; `(model)` for the root. */
  path: string;
  /** Whether the values are outputs or gradients. */
  side: Side;
  /** The largest absolute value; NaN where one was NaN. Gradients include the loss scale. */
  amax: number;
  /** The watched step with that value. */
  step: number;
  /** The file of the image that made it; null where no single image did, or where the file does not tell. */
  image: string | null;
  /** The headroom in float16, in bits. Gradients include the loss scale. */
  headroom: Headroom;
  /** The largest share of one step, 0 to 1, that exceeds float16's 65504. */
  fp16_saturate: number;
  /** The largest share of one step, 0 to 1, that float16 rounds to zero. */
  fp16_flush: number;
  /** The largest share of one step, 0 to 1, that is NaN or infinite. */
  non_finite: number;
}

/** The memory of a run in bytes: peaks over all steps, of tensors unless said otherwise. */
export interface NumericsMemory {
  /** What every precision needs alike; null where the header is missing. */
  fixed: HeaderRecord["fixed_bytes"] | null;
  /** The float16 or bfloat16 copies of the weights. */
  half_copies: number;
  /** What one forward kept for backward. */
  kept: number;
  /** All tensors. */
  peak: number;
  /** The resident memory of the process after a step. Its peak is in `summary.json`. */
  peak_rss: number;
  /**
   * What the last watched forward wrote: `half` in float16 and bfloat16, `full` in float32. Null where none was
   * watched. `32-true` writes twice the bytes of `half`.
   */
  written: { half: number; full: number } | null;
  /** What the step with the highest peak held then, of those that were looked at; null without any. */
  at_peak: PeakMemory | null;
}

/**
 * The numerics of a run on one page.
 * @example
 * import { NumericsReader, numericsText, summarizeNumerics } from "rfdetr/report";
 * const reader = new NumericsReader("runs/birds", { points: 20, watched: 2 });
 * reader.read();
 * console.log(numericsText(summarizeNumerics(reader.record())));
 */
export function summarizeNumerics(record: NumericsRecord): NumericsSummary {
  const { header, steps, skipped, overflows, rollbacks, controls, faults, latest } = record;
  const overall = overallOf(record);
  const foreseen = record.forecasts.filter(({ last }) => last === latest?.step);
  return {
    header,
    steps,
    applied: steps - skipped,
    skipped,
    spans: spansOf(record),
    scale_changes: record.scaleChanges,
    nearest: overall === null ? null : nearestOf(overall),
    worst: overall === null ? [] : worstOf(overall),
    flushed: overall === null ? [] : flushedOf(overall),
    forecasts: foreseen.map(({ first: _, last: __, ...forecast }) => forecast).sort((a, b) => a.steps - b.steps),
    overflows,
    rollbacks,
    updates: overall === null ? null : updatesOf(overall, record),
    step_seconds: meanOf(record.points, "seconds"),
    phases: phasesOf(record),
    memory: steps === 0 ? null : memoryOf(record),
    controls,
    faults,
    processes: processesOf(record),
  };
}

function spansOf({ points }: NumericsRecord): NumericsSummary["spans"] {
  const mean = (name: string, i: number): number => points.courses[name]?.mean[i] ?? Number.NaN;
  return points.first.map((first, i) => ({
    first,
    last: points.last[i],
    skipped: points.skipped[i],
    scale: points.courses.scale.last[i],
    loss: mean("loss", i),
    grad_norm: mean("grad_norm", i),
    clip_factor: points.courses.clip_factor?.min[i] ?? Number.NaN,
  }));
}

function nearestOf(overall: Overall): NumericsSummary["nearest"] {
  const nearest = nearestToEnd(overall);
  return (
    nearest && { path: nearest.path, side: nearest.side, dtype: overall.narrow, bits: nearest.left, step: nearest.step }
  );
}

function sidesOf({ modules }: Overall): WorstModule[] {
  return modules.flatMap((module) =>
    (["forward", "gradient"] as const).flatMap((side): WorstModule[] => {
      const seen = module[side];
      if (seen === null) return [];
      const { path, amax, step, file, fp16_saturate, fp16_flush, non_finite } = seen;
      const headroom = headroomOf(seen).fp16;
      const { dtype } = seen.largest;
      return [{ dtype, path, side, amax, step, image: file ?? null, headroom, fp16_saturate, fp16_flush, non_finite }];
    }),
  );
}

/** By the share that float16 makes zero. */
const flushedOf = (overall: Overall): WorstModule[] =>
  sidesOf(overall)
    .filter(({ fp16_flush }) => fp16_flush > muchFlushed)
    .sort((a, b) => b.fp16_flush - a.fp16_flush)
    .slice(0, 10);

/** By the share that is not finite, then by the largest value. */
function worstOf(overall: Overall): WorstModule[] {
  const size = ({ amax }: WorstModule): number => (Number.isNaN(amax) ? Number.POSITIVE_INFINITY : amax);
  return sidesOf(overall)
    .sort((a, b) => b.non_finite - a.non_finite || size(b) - size(a))
    .slice(0, 10);
}

function updatesOf({ updates }: Overall, { latest }: NumericsRecord): NumericsSummary["updates"] {
  if (updates.length === 0) return null;
  return {
    median_ratio: median((latest?.updates ?? []).map(({ ratio }) => ratio)),
    bf16_lost: lostInBfloat16(updates),
    largest: updates
      .map(({ name, ratio }) => ({ name, ratio }))
      .sort((a, b) => b.ratio - a.ratio)
      .slice(0, 3),
  };
}

function phasesOf({ points }: NumericsRecord): PhaseSeconds | null {
  const [load, forward, loss, backward, optimizer] = ["load", "forward", "loss", "backward", "optimizer"].map((phase) =>
    meanOf(points, `phases.${phase}`),
  );
  if (load === null || forward === null || loss === null || backward === null || optimizer === null) return null;
  return { load, forward, loss, backward, optimizer };
}

function memoryOf({ header, points, latest, peak }: NumericsRecord): NumericsMemory {
  const most = (name: string): number => mostOf(points, `memory.${name}`) ?? 0;
  return {
    fixed: header?.fixed_bytes ?? null,
    half_copies: most("half_copy_bytes"),
    kept: most("kept_bytes"),
    peak: most("peak_bytes"),
    peak_rss: most("rss_bytes"),
    written: latest?.written_bytes ?? null,
    at_peak: peak,
  };
}

function processesOf({ ranks }: NumericsRecord): NumericsSummary["processes"] {
  if (ranks === null) return null;
  const { points: _, ...rest } = ranks;
  return rest;
}
