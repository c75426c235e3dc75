// The lines of numerics.jsonl: one record for each optimizer step, and others.

import type { Precision } from "../names.js";
import type { ChoiceAgreement } from "../observers/choices.js";
import type { ModuleError } from "../observers/compare-modules.js";

/** The version of all records in numerics.jsonl. New fields keep the version; a field with a new meaning raises it. */
export const numericsVersion = 1;

/**
 * The record of one optimizer step, applied or not. Numbers that are not finite are written as the strings "nan", "inf"
 * and "-inf", because JSON has no such numbers.
 */
export interface StepRecord {
  v: typeof numericsVersion;
  kind: "step";
  /** The number of optimizer steps tried so far, this one included, from 1. Only this number counts skipped steps. */
  step: number;
  /** The number of optimizer steps applied so far. */
  applied_steps: number;
  epoch: number;
  precision: Precision;
  /** The loss scale in this step's backward; 1 where nothing is scaled. */
  scale: number;
  loss: number;
  /** Whether the loss or a gradient was not finite: what was found. */
  found_inf: boolean;
  /**
   * Whether the optimizer was not run: what came of it. Weights, moments, average and schedule are then as before. As
   * long as nothing else skips a step, it is `found_inf`.
   */
  skipped: boolean;
  /** The L2 norm of all gradients together, without the loss scale and before clipping. */
  grad_norm: number;
  /** The factor that clipping multiplied the gradients by; 1 where nothing was clipped. */
  clip_factor: number;
  lr: number;
  /** The first parameter, in the order of the model, whose gradient is not finite; null where none is. */
  bad_parameter: string | null;
  /** The first module whose output was not finite; null unless a replay has found one. */
  bad_module: string | null;
  /** What was not finite, in words; null where everything was finite. */
  fault: string | null;
  /** Seconds that the step took. */
  seconds: number;
  /**
   * Bytes. `live_bytes` and `peak_bytes` count tensors, `rss_bytes` the resident memory of the process. `kept_bytes` is
   * what one forward kept for backward, `half_copy_bytes` the float16 or bfloat16 copies of the weights.
   */
  memory: { live_bytes: number; peak_bytes: number; rss_bytes: number; kept_bytes: number; half_copy_bytes: number };
  /** Where the time of `seconds` went. */
  phases: PhaseSeconds;
}

/**
 * Seconds by phase of a step. What is missing to `seconds` was spent between the steps: on records, checkpoints, pauses
 * and whoever listens to the run. On a GPU these are the times in which the work was handed over, as
 * `StepSeconds` of `rfdetr/train` says.
 */
export interface PhaseSeconds {
  /** Waiting for the loader, and turning its images into the input of the model. */
  load: number;
  forward: number;
  loss: number;
  backward: number;
  /** Checks, clipping, AdamW, and the average of the weights, which is updated in the same pass over memory. */
  optimizer: number;
}

/**
 * How far the values of a module stay from the limits of a dtype, in bits: 3 bits are a factor of 8. Positive: there is
 * room. Negative: beyond the limit. Infinite where there is nothing that could cross it.
 */
export interface Headroom {
  /** log2(largest number of the dtype / largest absolute value). Minus infinity where a value is not finite. */
  overflow: number;
  /**
   * log2(v / smallest normal number of the dtype), rounded down, for the value v that 1 % of the values other than zero
   * stay below. Negative: these values lose bits. Below −10 in float16, and −7 in bfloat16, they become zero.
   */
  underflow: number;
}

/** The largest absolute value of a module in a watched step, and where it stands. */
export interface LargestValue {
  /** With its sign. */
  value: number;
  /** Of the tensor that holds it: a module may have several. */
  dtype: string;
  /** Its index in the tensor, such as `[image, token, channel]`. */
  index: number[];
  /** The image that made it, by its place in `images` of the record; null where no single image did. */
  image: number | null;
}

/** The statistics of one module in a watched step. */
export interface ModuleRecord {
  path: string;
  /** The dtype of the values, or several of them, separated by spaces. */
  dtype: string;
  /** The largest absolute value; NaN where a value was NaN. */
  amax: number;
  /** The share of the sampled values, 0 to 1, that are NaN or infinite. */
  non_finite: number;
  /** The share that float16 rounds to zero, although they are not zero. */
  fp16_flush: number;
  /** The share that float16 keeps with fewer bits. */
  fp16_subnormal: number;
  /** The share beyond the range of float16. */
  fp16_saturate: number;
  /** The share that is subnormal in float32, and so nearly lost in bfloat16. */
  bf16_flush: number;
  /** Counts by binary exponent: `counts[i]` values have 2^(first+i) ≤ |x| < 2^(first+i+1). */
  exponents: { first: number; counts: number[] };
  largest: LargestValue;
}

/**
 * When a module will overflow if its largest value goes on to grow as it did: a straight line through the bits that are
 * left to the largest number of its dtype. There is one only where the bits became fewer from each watched step to the
 * next, close to a line, and where the line need not be followed further than three times its basis.
 */
export interface ForecastRecord {
  path: string;
  side: "forward" | "gradient";
  /** The dtype that overflows: that of the largest value. */
  dtype: "float16" | "bfloat16" | "float32";
  /** Bits to overflow at this step. */
  headroom: number;
  /** Bits lost per optimizer step. */
  bits_per_step: number;
  /** Optimizer steps from this one to overflow. */
  steps: number;
  /** The same in watched steps. */
  watched_steps: number;
  /** The watched steps that the line goes through: the first of them, how many, and R² of the line, 0.9 to 1. */
  basis: { first: number; records: number; r2: number };
}

/** The memory of tensors at the peak of a step. The kinds add up to `bytes`, and so do the dtypes. */
export interface PeakMemory {
  /**
   * The step that was looked at: the one before the watched one, which runs as all others do. Only the first step of a
   * run is itself watched, which lets forward keep more.
   */
  step: number;
  /** The peak, without what the monitor itself held. */
  bytes: number;
  /** The phase of the step in which it came. */
  phase: "forward" | "loss" | "backward" | "optimizer";
  kinds: {
    weights: number;
    /** The low-precision copies of the weights. */
    copies: number;
    /** The gradients of the weights that were there already. */
    gradients: number;
    /** The two moments of the optimizer. */
    moments: number;
    /** The moving average of the weights. */
    average: number;
    /** What forward kept for backward, as far as backward had not freed it yet. */
    activations: number;
    /** The rest: what an operator needed while it ran, gradients of activations, images, targets. */
    temporary: number;
  };
  /**
   * Bytes by dtype. What forward kept is divided in the ratio of the bytes that its operators wrote, and `temporary` is
   * `other`.
   */
  dtypes: Record<string, number>;
}

/** What was measured of one precision. Ratios are relative to `32-true` of the same run, errors to float64. */
export interface CalibratedPrecision {
  precision: Precision;
  /** The median time of a step. */
  step_seconds: number;
  /** The step time of `32-true` over that of this precision. */
  speedup: number;
  /** The peak of the bytes of all tensors over the timed steps. */
  peak_tensor_bytes: number;
  /** The peak bytes of this precision over those of `32-true`. */
  memory_ratio: number;
  loss: number;
  /** |loss − exact| / |exact|. */
  loss_error: number;
  /** The cosine between its gradient and the exact one, all parameters taken as one vector. */
  gradient_cosine: number;
  /** The same with the choices of the exact step: what rounding alone does to the gradient. */
  rounding_cosine: number;
  /** How far its choices are those of the exact step; empty where the step makes none. */
  choices: ChoiceAgreement[];
  /** Whether the loss was not finite, or no loss scale down to 1 gave finite gradients. */
  nonfinite: boolean;
  /** The loss scale that gave the first finite gradients. */
  scale: number;
  /** The share of the gradient values, 0 to 1, that the precision rounds to zero at this scale. */
  underflow_share: number;
  /** The ten modules with the largest errors, worst first; empty for `32-true`. */
  modules: ModuleError[];
}

/** How one optimizer step moved the weights of one parameter. */
export interface UpdateRecord {
  name: string;
  /** ‖Δw‖ / ‖w‖; 0 where all weights are zero. */
  ratio: number;
  /**
   * The share of the changed weights, 0 to 1, whose value in bfloat16 did not change. Bfloat16 master weights would
   * have lost these changes.
   */
  bf16_lost: number;
}

/** The record of one watched step. */
export interface MonitorRecord {
  v: typeof numericsVersion;
  kind: "monitor";
  step: number;
  precision: Precision;
  /** The loss scale, which the gradients below include. */
  scale: number;
  /** The modules by the outputs of their operators. */
  forward: ModuleRecord[];
  /** The modules by the gradients that arrived at those outputs. */
  gradient: ModuleRecord[];
  /** How the step moved the weights, by parameter. */
  updates: UpdateRecord[];
  /** Bytes of the operators' outputs in one forward: `half` in float16 and bfloat16, `full` in float32 and float64. */
  written_bytes: { half: number; full: number };
  /**
   * The files of the step's images, relative to the folder of the data, in the order of the micro-batches; empty where
   * the loader does not tell.
   */
  images: string[];
  /** The modules that will overflow if they go on to grow; empty where none is foreseen to. */
  forecasts: ForecastRecord[];
  /** What the step before held at its peak; null where that was not looked at. */
  memory: PeakMemory | null;
  /** Seconds that recording took. */
  seconds: number;
}

/** The record of a return to an earlier checkpoint. The steps between `to_step` and `step` are then done again. */
export interface RollbackRecord {
  v: typeof numericsVersion;
  kind: "rollback";
  step: number;
  /** The step whose state was restored. */
  to_step: number;
  /** The factor on all learning rates from here on. */
  lr_factor: number;
  /** What was not finite, in words. */
  fault: string | null;
}

/** A command to the running run that it obeyed, or a change of precision that its settings asked for. */
export interface ControlRecord {
  v: typeof numericsVersion;
  kind: "control";
  /** The last step before it. What it changes holds from the next one. */
  step: number;
  command: "pause" | "go-on" | "stop" | "override" | "undo" | "lr";
  /** Whether another process asked for it now, `precision_changes` of the settings or a callback. */
  by: "command" | "settings" | "callback";
  /** The pattern of modules and its rule, of an override. */
  pattern?: string;
  rule?: string;
  /** All overrides that hold from the next step, of an override and an undo. */
  overrides?: Record<string, string>;
  /** When, ISO 8601. */
  at: string;
}

/** The first line of the file: the run that the other lines belong to. */
export interface HeaderRecord {
  v: typeof numericsVersion;
  kind: "header";
  precision: Precision;
  /** Why this precision was chosen. */
  reason: string;
  /** What the user should know about this precision on this hardware; null where there is nothing. */
  note: string | null;
  policy: string;
  overrides: Record<string, string>;
  hardware: string;
  /** Steps between watched ones; 0 where none is watched. */
  monitor_interval: number;
  /** Bytes of the tensors that are the same in every precision. */
  fixed_bytes: { weights: number; gradients: number; moments: number; average: number };
  /** What was measured to choose the precision; missing where nothing was measured. */
  calibration?: (Pick<
    CalibratedPrecision,
    "precision" | "step_seconds" | "speedup" | "peak_tensor_bytes" | "memory_ratio" | "gradient_cosine"
  > &
    // Files of earlier versions lack it.
    Partial<Pick<CalibratedPrecision, "rounding_cosine">>)[];
}

/** Writes a record as a line of JSON. Numbers that JSON lacks become the strings "nan", "inf" and "-inf". */
export function recordLine(record: object): string {
  return JSON.stringify(record, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? nameOf(value) : value,
  );
}

/**
 * Reads a line that {@link recordLine} wrote.
 * @throws SyntaxError for a line that is not JSON, such as the incomplete last line of a killed run
 */
export function parseRecord(line: string): { v: number; kind: string } & Record<string, unknown> {
  // Visiting every value takes longer than to read them, and few lines have such numbers.
  if (!/"(?:nan|-?inf)"/.test(line)) return JSON.parse(line);
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
