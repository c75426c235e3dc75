// Where two runs of one model part: the outputs of its modules, compared on samples.
import { noGrad, scope, type Tensor } from "@rfdetr/torch";
import { observe } from "./observe.js";
import { quietOperators } from "./policy.js";
import { floatingTensors, placeName } from "./tensors.js";

/** Values of an operator's output that are kept for the comparison. */
const sampleSize = 4096;

/** How far one module's output lies from the reference. */
export interface ModuleError {
  path: string;
  /** ‖other − exact‖ / ‖exact‖ over the samples of all outputs of the module's own operators. */
  relative_error: number;
  /** Largest absolute value seen in the other run. */
  amax: number;
}

interface Sample {
  path: string;
  values: Float64Array;
}

/**
 * Runs `exact` and `other`, which must call the same modules in the same order, and compares what their operators put
 * out. Where a ranking in between turns out differently, everything behind it differs by more than rounding: that is
 * shown as it is.
 */
export function compareModules(exact: () => unknown, other: () => unknown): ModuleError[] {
  const reference = record(exact);
  const found = new Map<string, { error: number; norm: number; amax: number }>();
  record(other).forEach((sample, i) => {
    const truth = reference[i];
    if (truth === undefined || truth.path !== sample.path || truth.values.length !== sample.values.length) return;
    const sums = found.get(sample.path) ?? { error: 0, norm: 0, amax: 0 };
    sample.values.forEach((value, j) => {
      const expected = truth.values[j] ?? Number.NaN;
      sums.error += (value - expected) ** 2;
      sums.norm += expected ** 2;
      // NaN must not be lost in a maximum.
      if (!(Math.abs(value) <= sums.amax)) sums.amax = Math.abs(value);
    });
    found.set(sample.path, sums);
  });
  return [...found].map(([path, { error, norm, amax }]) => ({
    path,
    relative_error: norm === 0 ? (error === 0 ? 0 : Number.POSITIVE_INFINITY) : Math.sqrt(error / norm),
    amax,
  }));
}

function record(body: () => unknown): Sample[] {
  const samples: Sample[] = [];
  const stop = observe((event) => {
    if (event.by === "cast" || event.op.inPlace || event.module === null || quietOperators.has(event.op.base)) return;
    for (const output of floatingTensors(event.result))
      samples.push({ path: placeName(event.module.path), values: sampled(output) });
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
