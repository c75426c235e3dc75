// The record of one optimizer step, and the lines of numerics.jsonl.

import type { Precision } from "./auto-precision.js";
import type { ModuleError } from "./compare-modules.js";

/** Version of everything in numerics.jsonl. Fields may be added under a version; a changed meaning raises it. */
export const numericsVersion = 1;

/**
 * One line for each optimizer step, applied or not. Numbers that are not finite are written as the strings "nan", "inf"
 * and "-inf", because JSON has none.
 */
export interface StepRecord {
  v: typeof numericsVersion;
  kind: "step";
  /** Optimizer steps tried so far, this one included, from 1; skipped ones count here and nowhere else. */
  step: number;
  /** Optimizer steps applied so far. */
  applied_steps: number;
  epoch: number;
  precision: Precision;
  /** Loss scale that this step's backward ran with; 1 where nothing is scaled. */
  scale: number;
  loss: number;
  /** Something was not finite: a loss or a gradient. */
  found_inf: boolean;
  /** The optimizer did not run; weights, moments, average and schedule are as before. */
  skipped: boolean;
  /** Global L2 norm of the unscaled gradients before clipping. */
  grad_norm: number;
  /** What the gradients were multiplied by, 1 where nothing was clipped. */
  clip_factor: number;
  lr: number;
  /** The first parameter (in the order of the model) with a gradient that is not finite. */
  bad_parameter: string | null;
  /** The first module whose output was not finite, once a replay has found it. */
  bad_module: string | null;
  /** What was not finite, in words. */
  fault: string | null;
  seconds: number;
  /** `kept_bytes`: what one forward left for backward; `half_copy_bytes`: the half copies of the weights. */
  memory: { live_bytes: number; peak_bytes: number; rss_bytes: number; kept_bytes?: number; half_copy_bytes?: number };
}

/** Statistics of one module on a sampled step. */
export interface ModuleRecord {
  path: string;
  /** Dtype of the values. */
  dtype: string;
  amax: number;
  /** Shares of the values seen, 0 to 1: see `Shares`. */
  non_finite: number;
  fp16_flush: number;
  fp16_subnormal: number;
  fp16_saturate: number;
  bf16_flush: number;
  /** Counts by binary exponent: `counts[i]` values with 2^(first+i) ≤ |x| < 2^(first+i+1). */
  exponents: { first: number; counts: number[] };
}

/** One precision; ratios are against `32-true` of the same run, errors against float64. */
export interface CalibratedPrecision {
  precision: Precision;
  step_seconds: number;
  speedup: number;
  peak_tensor_bytes: number;
  memory_ratio: number;
  loss: number;
  /** |loss − exact| / |exact|. */
  loss_error: number;
  /** Cosine between its gradient and the exact one, all parameters as one vector. */
  gradient_cosine: number;
  /** No loss scale down to 1 gave finite gradients, or the loss was not finite. */
  nonfinite: boolean;
  /** Loss scale that the first finite gradients came with. */
  scale: number;
  /** Share of the gradient values that the half type rounds to zero at this scale. */
  underflow_share: number;
  /** The ten modules with the largest error, worst first; empty for `32-true`. */
  modules: ModuleError[];
}

/** How a step moved the weights of one parameter. */
export interface UpdateRecord {
  name: string;
  /** ‖Δw‖ / ‖w‖. */
  ratio: number;
  /** Share of the changed weights whose bfloat16 value did not change: lost, were the master weights bfloat16. */
  bf16_lost: number;
}

/** One line for each sampled step. */
export interface MonitorRecord {
  v: typeof numericsVersion;
  kind: "monitor";
  step: number;
  precision: Precision;
  /** Loss scale; the gradients below are as they flowed, times it. */
  scale: number;
  /** Modules by the outputs of the operators that ran in them. */
  forward: ModuleRecord[];
  /** Modules by the gradients that arrived at those outputs. */
  gradient: ModuleRecord[];
  updates: UpdateRecord[];
  /**
   * Bytes that the operators of one forward put out, by the width of their values. Absent in files of earlier versions
   * of the program.
   */
  written_bytes?: { half: number; full: number };
  /** What looking cost. */
  seconds: number;
}

/**
 * One line for each time the run went back to a checkpoint. Steps after it do again what was done between `to_step` and
 * `step`.
 */
export interface RollbackRecord {
  v: typeof numericsVersion;
  kind: "rollback";
  step: number;
  /** The step whose state the run took up again. */
  to_step: number;
  /** What all learning rates are multiplied by from here on. */
  lr_factor: number;
  fault: string | null;
}

/** The first line: what the numbers belong to. */
export interface HeaderRecord {
  v: typeof numericsVersion;
  kind: "header";
  precision: Precision;
  reason: string;
  note: string | null;
  policy: string;
  overrides: Record<string, string>;
  hardware: string;
  monitor_interval: number;
  /** Tensor bytes that no precision changes. Absent in files of earlier versions of the program. */
  fixed_bytes?: { weights: number; gradients: number; moments: number; average: number };
  /** What was measured to choose the precision, where it was measured. */
  calibration?: Pick<
    CalibratedPrecision,
    "precision" | "step_seconds" | "speedup" | "peak_tensor_bytes" | "memory_ratio" | "gradient_cosine"
  >[];
}

/** Parses and writes nothing but what it was given: numbers that JSON lacks become strings. */
export function recordLine(record: object): string {
  return JSON.stringify(record, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? nameOf(value) : value,
  );
}

/**
 * The inverse of {@link recordLine}. @throws SyntaxError for a line that is no JSON (a run killed while writing leaves
 * half a line)
 */
export function parseRecord(line: string): { v: number; kind: string } & Record<string, unknown> {
  return JSON.parse(line, (_, value) =>
    typeof value === "string" && Object.hasOwn(special, value) ? special[value] : value,
  );
}

const special: Record<string, number> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  "-inf": Number.NEGATIVE_INFINITY,
};
const nameOf = (value: number): string => (Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf");
