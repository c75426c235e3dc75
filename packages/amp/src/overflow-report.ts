// What led to the first value that was not finite, in words.
import type { Precision } from "./auto-precision.js";
import type { numericsVersion } from "./step-record.js";
import { textTable } from "./text.js";

/** Range of one tensor at the place of the fault. */
export interface TensorFacts {
  name: string;
  dtype: string;
  shape: number[];
  min: number;
  max: number;
  /** Largest absolute value. */
  amax: number;
  nan: number;
  infinite: number;
}

/** One of the last modules before the fault. */
export interface TrailEntry {
  path: string;
  operator: string;
  dtype: string;
  amax: number;
}

/**
 * Where the first value that was not finite came up:
 * `input` in the tensors given to the model; `weight` in its parameters or buffers; `forward` in a module whose own
 * inputs were finite; `target` in the data that the loss was given; `loss` in the loss's own arithmetic; `backward` in
 * a gradient while everything forward was finite; `none` when the replay stayed finite.
 */
export type FaultPhase = "input" | "weight" | "forward" | "target" | "loss" | "backward" | "none";

/** A line of numerics.jsonl. */
export interface OverflowReport {
  v: typeof numericsVersion;
  kind: "overflow";
  step: number;
  precision: Precision;
  scale: number;
  phase: FaultPhase;
  /** Files of the batch. */
  files: string[];
  /** Module, or name of the input or weight. */
  module: string | null;
  operator: string | null;
  inputs: TensorFacts[];
  weights: TensorFacts[];
  output: TensorFacts | null;
  /** Up to twenty modules that ran before, oldest first. */
  trail: TrailEntry[];
  /** `backward`: the modules that read this output, whose backward made the bad gradient. */
  readers: string[];
  /** The first parameter, in the model's order, whose gradient was bad, and how many were. */
  bad_parameter: string | null;
  bad_parameters: number;
  advice: string[];
}

const fp16Max = 65504;

/** What to do about it, most likely first. */
export function advise(report: Omit<OverflowReport, "advice">): string[] {
  const place = report.module ?? "";
  const isHalf = report.output?.dtype === "float16" || report.inputs.some((input) => input.dtype === "float16");
  const culprit = report.readers.find((reader) => !reader.startsWith("(")) ?? place;
  const overridden = `precision_overrides: { "${culprit.replace(/\.\d+(?=\.|$)/g, ".*")}": "fp32" }`;
  switch (report.phase) {
    case "input":
      return [
        `The tensor ${place} already held ${counts(report.inputs[0])} before the model saw it: check the images of this batch (rfdetr data check) and the normalisation.`,
      ];
    case "weight":
      return [
        `${place} holds ${counts(report.weights[0])}: an earlier update destroyed it. Go back to the last good checkpoint, with a lower learning rate.`,
        "Keep the finite-gradient check on: it refuses such an update.",
      ];
    case "target":
      return [
        "The loss was given values that are not finite: check the boxes of this batch's annotations (rfdetr data check).",
      ];
    case "loss":
      return [
        "The model's outputs were finite, the loss was not: the outputs are extreme. Lower the learning rate, or lengthen the warm-up.",
        "If it happens on the same images every time, check their annotations (rfdetr data check).",
      ];
    case "backward":
      if (report.precision === "16-mixed" && report.scale > 1)
        return [
          `The loss scale of ${report.scale} carried a gradient past float16's ${fp16Max}: the scaler has halved the scale and the step was skipped. In the first steps, and now and then later, that is how it finds its scale.`,
          `If it happens at the same module again and again: ${overridden}, or bf16-mixed.`,
        ];
      return [
        `A gradient left the range of its type at ${place}: lower the learning rate or the clipping threshold.`,
        `If it happens at the same module again and again: ${overridden}.`,
      ];
    case "forward":
      if (isHalf)
        return [
          `${place} left the range of float16 (±${fp16Max}): ${overridden}, or "bf16" in place of "fp32" to keep the speed.`,
          "bf16-mixed has the range of float32 and needs no such exception.",
        ];
      return [
        `${place} made it out of finite inputs in ${report.output?.dtype ?? "float32"}, whose range is hardly at fault: training has diverged. Go back to the last good checkpoint, with a lower learning rate.`,
      ];
    default:
      return [
        "The replay stayed finite: the fault is not repeatable from this batch and these weights. Memory or hardware errors and races in data loading do that.",
      ];
  }
}

function counts(facts: TensorFacts | undefined): string {
  if (facts === undefined) return "values that are not finite";
  const parts = [
    facts.nan > 0 ? `${facts.nan} NaN` : "",
    facts.infinite > 0 ? `${facts.infinite} infinite` : "",
  ].filter(Boolean);
  return `${parts.join(" and ")} of ${facts.shape.reduce((a, b) => a * b, 1)} values`;
}

const headlines: Record<FaultPhase, (report: OverflowReport) => string> = {
  input: (r) => `the input ${r.module} was not finite`,
  weight: (r) => `the weight ${r.module} was not finite`,
  forward: (r) => `first not finite in the output of ${r.module} (${r.operator})`,
  target: (r) => `the loss was given targets that are not finite (${r.operator})`,
  loss: (r) => `first not finite in the loss (${r.operator})`,
  backward: (r) =>
    r.module === null
      ? "a gradient was not finite"
      : `first not finite in the gradient at the output of ${r.module}${r.readers.length > 0 ? `, which came from ${r.readers.join(", ")}` : ""}`,
  none: () => "not found: the replay stayed finite",
};

/** The report for a terminal or a text file. */
export function formatOverflowReport(report: OverflowReport): string {
  const facts = [
    ...report.inputs.map((f) => ["input", f] as const),
    ...report.weights.map((f) => ["weight", f] as const),
    ...(report.output === null ? [] : [["output", report.output] as const]),
  ];
  const lines = [
    `Step ${report.step}, ${report.precision}${report.precision === "16-mixed" ? `, loss scale ${report.scale}` : ""}: ${headlines[report.phase](report)}.`,
  ];
  if (report.files.length > 0) lines.push("", `Images: ${report.files.join(", ")}`);
  if (facts.length > 0)
    lines.push(
      "",
      textTable(
        ["", "name", "dtype", "shape", "min", "max", "NaN", "infinite"],
        facts.map(([what, f]) => [
          what,
          f.name,
          f.dtype,
          f.shape.join("×") || "scalar",
          brief(f.min),
          brief(f.max),
          String(f.nan),
          String(f.infinite),
        ]),
      ),
    );
  if (report.trail.length > 0)
    lines.push(
      "",
      "Before it ran:",
      textTable(
        ["module", "operator", "dtype", "amax"],
        report.trail.map((t) => [t.path, t.operator, t.dtype, brief(t.amax)]),
      ),
    );
  if (report.bad_parameter !== null)
    lines.push("", `Gradients of ${report.bad_parameters} parameters were bad, first ${report.bad_parameter}.`);
  return [...lines, "", ...report.advice.map((advice) => `→ ${advice}`)].join("\n");
}

const brief = (value: number): string =>
  Number.isFinite(value) ? value.toPrecision(4) : Number.isNaN(value) ? "NaN" : value > 0 ? "inf" : "-inf";
