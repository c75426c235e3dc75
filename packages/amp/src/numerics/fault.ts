// What led to the first value that was not finite, and how it reads.
import { textTable } from "../text.js";

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

/** What is known of a step that was not finite. */
export interface Fault {
  /** Where the first value that was not finite appeared. */
  phase: FaultPhase;
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
}

const headlines: Record<FaultPhase, (fault: Fault) => string> = {
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

/** Where the first value that was not finite appeared, in a sentence without its full stop. */
export const faultHeadline = (fault: Fault): string => headlines[fault.phase](fault);

/** What was seen at the place of a fault, as tables; empty where nothing was. */
export function faultEvidence(fault: Fault): string {
  const facts = [
    ...fault.inputs.map((f) => ["input", f] as const),
    ...fault.weights.map((f) => ["weight", f] as const),
    ...(fault.output === null ? [] : [["output", fault.output] as const]),
  ];
  const values = textTable(
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
  );
  const trail = textTable(
    ["module", "operator", "dtype", "amax"],
    fault.trail.map((t) => [t.path, t.operator, t.dtype, brief(t.amax)]),
  );
  return [
    ...(facts.length === 0 ? [] : [values]),
    ...(fault.trail.length === 0 ? [] : [`Modules that ran before:\n${trail}`]),
    ...(fault.bad_parameter === null
      ? []
      : [`Gradients that were not finite: ${fault.bad_parameters}, the first of ${fault.bad_parameter}.`]),
  ].join("\n\n");
}

const brief = (value: number): string =>
  Number.isFinite(value) ? value.toPrecision(4) : Number.isNaN(value) ? "NaN" : value > 0 ? "inf" : "-inf";
