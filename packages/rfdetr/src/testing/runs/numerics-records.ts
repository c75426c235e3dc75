// Whole records of numerics.jsonl for tests, which change what they are about.
import type { ModuleRecord } from "@rfdetr/amp/records";
import type {
  HeaderRecord,
  MonitorRecord,
  OverflowRecord,
  StepRecord,
} from "../../run/files/numerics/numerics-records.js";
import type { PeakMemory } from "../../train/measure/memory-peak.js";

export const headerRecord = (changes: Partial<HeaderRecord> = {}): HeaderRecord => ({
  v: 1,
  kind: "header",
  precision: "16-mixed",
  reason: "as requested",
  note: null,
  policy: "default",
  overrides: {},
  hardware: "2 × example",
  monitor_interval: 2,
  fixed_bytes: { weights: 1e6, gradients: 1e6, moments: 2e6, average: 1e6 },
  ...changes,
});

export const stepRecord = (step: number, changes: Partial<StepRecord> = {}): StepRecord => ({
  v: 1,
  kind: "step",
  step,
  applied_steps: step,
  epoch: 1,
  precision: "16-mixed",
  scale: 1024,
  loss: 2,
  found_inf: false,
  skipped: false,
  grad_norm: 1,
  clip_factor: 0.1,
  lr: 1e-4,
  bad_parameter: null,
  bad_module: null,
  fault: null,
  seconds: 0.5,
  memory: { live_bytes: 5e6, peak_bytes: 9e6, rss_bytes: 4e8, kept_bytes: 3e6, half_copy_bytes: 5e5 },
  phases: { load: 0.05, forward: 0.15, loss: 0.05, backward: 0.2, optimizer: 0.03 },
  ...changes,
});

/** A module whose largest value is so large. */
export const moduleRecord = (path: string, amax: number, changes: Partial<ModuleRecord> = {}): ModuleRecord => ({
  path,
  dtype: "float16",
  amax,
  non_finite: 0,
  fp16_flush: 0,
  fp16_subnormal: 0,
  fp16_saturate: 0,
  bf16_flush: 0,
  exponents: { first: 0, counts: [] },
  largest: { value: amax, dtype: changes.dtype?.split(" ")[0] ?? "float16", index: [0], image: null },
  ...changes,
});

export const monitorRecord = (step: number, changes: Partial<MonitorRecord> = {}): MonitorRecord => ({
  v: 1,
  kind: "monitor",
  step,
  precision: "16-mixed",
  scale: 1,
  forward: [],
  gradient: [],
  updates: [],
  written_bytes: { half: 4e6, full: 2e6 },
  images: [],
  forecasts: [],
  memory: null,
  seconds: 0.1,
  ...changes,
});

export const peakMemory = (step: number, bytes: number): PeakMemory => ({
  step,
  bytes,
  phase: "backward",
  dtypes: { float32: bytes },
  kinds: {
    weights: 1e6,
    copies: 0,
    gradients: 0,
    moments: 0,
    average: 0,
    activations: bytes - 1e6,
    temporary: 0,
  },
});

/** The output of a linear layer overflowed. */
export const overflowReport = (step: number, changes: Partial<OverflowRecord> = {}): OverflowRecord => ({
  v: 1,
  kind: "overflow",
  step,
  precision: "16-mixed",
  scale: 1,
  phase: "forward",
  files: [],
  module: "head",
  operator: "linear",
  inputs: [],
  weights: [],
  output: null,
  trail: [],
  readers: [],
  bad_parameter: null,
  bad_parameters: 0,
  advice: [],
  ...changes,
});
