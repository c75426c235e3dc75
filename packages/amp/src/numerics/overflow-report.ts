// Reports in words what led to the first value that was not finite.
import type { Precision } from "../names.js";
import { textTable } from "../text.js";
import type { numericsVersion } from "./step-record.js";

/** The range of one tensor at the place of the fault. */
export interface TensorFacts {
  /** The name of the weight, of the model's input or of the operator's argument. */
  name: string;
  dtype: string;
  shape: number[];
  /** The smallest and the largest of the finite values; 0 where there are none. */
  min: number;
  max: number;
  /** The largest absolute value of the finite values. */
  amax: number;
  /** The number of values that are NaN. */
  nan: number;
  /** The number of values that are infinite. */
  infinite: number;
}

/** A module that ran shortly before the fault. */
export interface TrailEntry {
  path: string;
  /** The last operator that ran in the module. */
  operator: string;
  /** The dtype of its output. */
  dtype: string;
  /** The largest absolute value of the outputs in the module. */
  amax: number;
}

/**
 * Where the first value that was not finite appeared.
 * - `input`: in the tensors given to the model.
 * - `weight`: in the parameters or buffers of the model.
 * - `forward`: in the output of a module.
 * - `target`: in the data given to the loss.
 * - `loss`: in the computation of the loss, from finite data.
 * - `backward`: in a gradient, after a finite forward.
 * - `none`: nowhere; the replay stayed finite.
 */
export type FaultPhase = "input" | "weight" | "forward" | "target" | "loss" | "backward" | "none";

/** The report of a fault: a line of numerics.jsonl. */
export interface OverflowReport {
  v: typeof numericsVersion;
  kind: "overflow";
  step: number;
  precision: Precision;
  /** The loss scale; 1 where nothing is scaled. */
  scale: number;
  /** Where the first value that was not finite appeared. */
  phase: FaultPhase;
  /** The image files of the batch. */
  files: string[];
  /** The path of the module, or the name of the input or weight; null where there is none. */
  module: string | null;
  /** The base name of the operator; null for inputs and weights. */
  operator: string | null;
  /** The inputs of the operator, or the bad input of the model. */
  inputs: TensorFacts[];
  /** The weights of the operator, or the bad weight. */
  weights: TensorFacts[];
  /** The output of the operator, or the bad gradient. */
  output: TensorFacts | null;
  /** Up to twenty modules that ran before, oldest first. */
  trail: TrailEntry[];
  /** For `backward`: the modules that read this output. Their backward produced the bad gradient. */
  readers: string[];
  /** The first parameter, in the order of the model, whose gradient was not finite; null where none was. */
  bad_parameter: string | null;
  /** The number of parameters whose gradient was not finite. */
  bad_parameters: number;
  /** What to do, the most likely remedy first. */
  advice: string[];
}

const fp16Max = 65504;

/** What to do about a fault, the most likely remedy first. */
export function advise(report: Omit<OverflowReport, "advice">): string[] {
  const place = report.module ?? "";
  const isHalf = report.output?.dtype === "float16" || report.inputs.some((input) => input.dtype === "float16");
  const culprit = report.readers.find((reader) => !reader.startsWith("(")) ?? place;
  // What has no path, such as the loss, runs in float32 already.
  const inModule = culprit !== "" && !culprit.startsWith("(");
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
        "The model's outputs were finite but the loss was not: the outputs are extreme. Lower the learning rate, or lengthen the warm-up.",
        "If it happens on the same images every time, check their annotations (rfdetr data check).",
      ];
    case "backward":
      if (report.precision === "16-mixed" && report.scale > 1)
        return [
          `The loss scale of ${report.scale} carried a gradient past float16's ${fp16Max}: the scaler has halved the scale and the step was skipped. This is normal in the first steps, and now and then later: the scaler finds its scale in this way.`,
          inModule
            ? `If it happens at the same module again and again: ${overridden}, or bf16-mixed.`
            : "If it happens again and again: bf16-mixed, which needs no loss scale.",
        ];
      return [
        `A gradient left the range of its dtype${inModule ? ` at ${place}` : " outside of the modules, in the loss"}: lower the learning rate or the clipping threshold.`,
        ...(inModule ? [`If it happens at the same module again and again: ${overridden}.`] : []),
      ];
    case "forward":
      if (isHalf)
        return [
          `${place} left the range of float16 (±${fp16Max}): ${overridden}. "bf16" instead of "fp32" keeps the speed.`,
          "bf16-mixed has the range of float32 and needs no such override.",
        ];
      return [
        `${place} produced this value from finite inputs in ${report.output?.dtype ?? "float32"}, whose range is rarely the cause: training has diverged. Go back to the last good checkpoint, with a lower learning rate.`,
      ];
    default:
      return [
        "The replay stayed finite: this batch and these weights do not reproduce the fault. Possible causes are errors of memory or hardware, and races in data loading.",
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

/** The report as text for a terminal or a file. */
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
      "Modules that ran before:",
      textTable(
        ["module", "operator", "dtype", "amax"],
        report.trail.map((t) => [t.path, t.operator, t.dtype, brief(t.amax)]),
      ),
    );
  if (report.bad_parameter !== null)
    lines.push("", `Gradients that were not finite: ${report.bad_parameters}, the first of ${report.bad_parameter}.`);
  return [...lines, "", ...report.advice.map((advice) => `→ ${advice}`)].join("\n");
}

const brief = (value: number): string =>
  Number.isFinite(value) ? value.toPrecision(4) : Number.isNaN(value) ? "NaN" : value > 0 ? "inf" : "-inf";
