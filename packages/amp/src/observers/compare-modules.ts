// Compares two runs of one model by samples of the outputs of its modules.
import { noGrad, scope, type Tensor } from "@rfdetr/torch";
import { observe } from "../observe.js";
import { quietOperators } from "../policy/policy.js";
import { floatingTensors, placeName } from "../tensors.js";
import { Choices } from "./choices.js";

/** The most values of one output that are compared. */
const sampleSize = 4096;

/** How far the outputs of one module lie from the reference. */
export interface ModuleError {
  /** The path of the module; `(model)` for the root. */
  path: string;
  /** ‖other − exact‖ / ‖exact‖ over the samples of all outputs of the module's own operators. */
  relative_error: number;
  /** The largest absolute value among the samples of the other run; NaN where one is NaN. */
  amax: number;
}

interface Sample {
  path: string;
  /** Of which operator, in which module. */
  place: string;
  values: Float64Array;
}

/**
 * Runs `exact` and `other` and compares the outputs of their operators, module by module. Both must call the same
 * modules in the same order; what only one of them calls in a module, such as a conversion, is not compared. `other`
 * makes the choices of `exact` ({@link Choices}): where it ranked candidates in another order, all later modules would
 * see other rows.
 * @returns one entry for each module, in the order of the other run
 * @example
 * import { Autocast, compareModules } from "@rfdetr/amp";
 * const errors = compareModules(
 *   () => model.call(images),
 *   () => new Autocast("bf16-mixed").run(() => model.call(images)),
 * );
 * console.log(errors.map(({ path, relative_error }) => `${path} ${relative_error}`).join("\n"));
 */
export function compareModules(exact: () => unknown, other: () => unknown): ModuleError[] {
  const choices = new Choices();
  const reference = record(() => choices.record(exact));
  const found = new Map<string, { error: number; norm: number; amax: number }>();
  const compared = record(() => choices.repeat(other));
  choices.dispose();
  const truths = new Map<string, Sample[]>();
  for (const sample of reference) truths.set(sample.place, [...(truths.get(sample.place) ?? []), sample]);
  for (const sample of compared) {
    const truth = truths.get(sample.place)?.shift();
    if (truth?.values.length !== sample.values.length) continue;
    const sums = found.get(sample.path) ?? { error: 0, norm: 0, amax: 0 };
    sample.values.forEach((value, j) => {
      const expected = truth.values[j] ?? Number.NaN;
      sums.error += (value - expected) ** 2;
      sums.norm += expected ** 2;
      sums.amax = Math.max(sums.amax, Math.abs(value));
    });
    found.set(sample.path, sums);
  }
  return [...found].map(([path, { error, norm, amax }]) => ({
    path,
    relative_error: norm === 0 ? (error === 0 ? 0 : Number.POSITIVE_INFINITY) : Math.sqrt(error / norm),
    amax,
  }));
}

/**
 * The ten modules with the largest errors, worst first, and after them the worst of each part of the model that is not
 * among them.
 */
export function worstModules(errors: readonly ModuleError[]): ModuleError[] {
  // NaN is the largest error.
  const size = ({ relative_error: error }: ModuleError): number => (Number.isNaN(error) ? Infinity : error);
  const parts = new Set<string>();
  return [...errors]
    .sort((a, b) => size(b) - size(a) || 0)
    .filter(({ path }, i) => {
      const seen = parts.size;
      parts.add(path.split(".", 1)[0] as string);
      return i < 10 || parts.size > seen;
    });
}

function record(body: () => unknown): Sample[] {
  const samples: Sample[] = [];
  const stop = observe((event) => {
    if (event.by === "cast" || event.op.inPlace || event.module === null || quietOperators.has(event.op.base)) return;
    const path = placeName(event.module.path);
    for (const output of floatingTensors(event.result))
      samples.push({ path, place: `${path} ${event.op.name}`, values: sampled(output) });
  });
  try {
    noGrad(() => scope(() => void body()));
  } finally {
    stop();
  }
  return samples;
}

function sampled(x: Tensor): Float64Array {
  const flat = x.flatten();
  const step = Math.ceil(flat.numel / sampleSize) | 1;
  return Float64Array.from(flat.slice(0, 0, flat.numel, step).to("float64").toArray() as Float64Array);
}
