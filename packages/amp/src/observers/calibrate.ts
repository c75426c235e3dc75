// Calibration: measures every precision on a model and a batch, and recommends one.
import {
  type DType,
  getRngState,
  keep,
  memory,
  type nn,
  noGrad,
  resetPeakMemory,
  scope,
  setRngState,
  type Tensor,
} from "@rfdetr/torch";
import type { Autocast } from "../autocast/autocast.js";
import { gradientsFinite } from "../finite.js";
import { median } from "../median.js";
import type { NumberFormatName, Precision } from "../names.js";
import type { ModuleRecord } from "../numerics/module-record.js";
import { precisionsOf } from "../policy/auto-precision.js";
import type { CalibratedPrecision } from "./calibrated-precision.js";
import { Choices } from "./choices.js";
import { compareModules, worstModules } from "./compare-modules.js";
import { Monitor } from "./monitor.js";

/** The training step that {@link calibrate} measures. */
export interface CalibrationTask {
  /** The model, with float32 parameters. */
  model: nn.Module;
  /** Runs the forward of the batch under `autocast`, with images in `dtype`. The result is ignored. */
  forward: (autocast: Autocast, dtype: DType) => unknown;
  /**
   * Runs forward, loss, and backward on the loss times `scale`. The gradients stay in the parameters.
   * @returns the loss without the scale
   */
  step: (autocast: Autocast, dtype: DType, scale: number) => number;
  /** Makes the autocast of a precision as training makes it; in a number format where one is given. */
  autocast: (precision: Precision, format?: NumberFormatName) => Autocast;
  /** Timed steps of each precision, after one that is not timed; default 3. The precisions take turns. */
  rounds?: number;
  /** Precisions to try; default all that the device has. `32-true` is always measured. */
  precisions?: readonly Precision[];
  /** Number formats of linear layers to try in `bf16-mixed`; default none. They are emulated, and not timed. */
  formats?: readonly NumberFormatName[];
  /** Receives in words what is measured next. */
  progress?: (what: string) => void;
}

/** What a number format does to a training step in `bf16-mixed`. */
export interface CalibratedFormat
  extends Pick<
    CalibratedPrecision,
    "loss" | "loss_error" | "gradient_cosine" | "rounding_cosine" | "choices" | "nonfinite" | "modules"
  > {
  format: NumberFormatName;
}

/** What {@link calibrate} measured, and the precision that it recommends. */
export interface Calibration {
  /** The reference, which is the same step in float64: its loss and the L2 norm of its gradients. */
  exact: { loss: number; gradient_norm: number };
  /** One entry for each precision that was tried, `32-true` first. */
  precisions: CalibratedPrecision[];
  /** One entry for each number format that was tried. */
  formats: CalibratedFormat[];
  /** The recommended precision, and the reason in words to print. */
  recommended: { precision: Precision; reason: string };
}

/** The loss scale that the search for finite float16 gradients starts with. */
const firstScale = 65536;
/** Cosine with the exact gradient, at the same choices, below which a precision is rejected. */
const worstCosine = 0.98;

/** The step in float64, which is the reference for errors. */
interface Exact {
  loss: number;
  /** Kept beyond the scope; null where a parameter has none. */
  gradients: (Tensor | null)[];
  norm: number;
  choices: Choices;
}

/** One precision and what was measured of it so far. */
interface Trial {
  precision: Precision;
  autocast: Autocast;
  scale: number;
  errors: Omit<CalibratedFormat, "format">;
  /** Seconds of each timed step. */
  seconds: number[];
  /** Peak bytes of tensors over the timed steps. */
  peak: number;
}

/** Runs the steps of a task, all with the same random numbers. */
class Steps {
  readonly #rng: Tensor;
  readonly device: string;
  readonly parameters: readonly nn.Parameter[];
  constructor(readonly task: CalibrationTask) {
    this.parameters = task.model.parameters();
    this.device = this.parameters[0]?.device ?? "cpu";
    this.#rng = keep(getRngState(this.device));
  }

  /**
   * Runs one step; its gradients are in the parameters afterwards.
   * @returns the loss
   */
  run(autocast: Autocast, scale: number, dtype: DType = "float32"): number {
    this.drop();
    setRngState(this.#rng, this.device);
    return scope(() => this.task.step(autocast, dtype, scale));
  }

  forward(autocast: Autocast): void {
    setRngState(this.#rng, this.device);
    this.task.forward(autocast, "float32");
  }

  gradients(): (Tensor | null)[] {
    return this.parameters.map((parameter) => parameter.grad);
  }

  /** Frees the gradients. */
  drop(): void {
    for (const parameter of this.parameters) parameter.grad = null;
  }

  close(): void {
    this.drop();
    this.#rng.dispose();
  }
}

/**
 * Measures a training step in every precision and compares it with the same step in float64.
 *
 * A step that ranks or assigns chooses among values that are nearly equal, and low precision chooses others. So each
 * precision also takes the step with the choices of the float64 one, which says what rounding alone does.
 *
 * The parameters are converted to float64 and back to float32, which changes no value. Gradients are dropped. The
 * random generator is reset before every step, so that all precisions see the same dropout.
 * @example
 * import { Autocast, calibrate } from "@rfdetr/amp";
 * const { recommended } = calibrate({
 *   model,
 *   forward: (autocast, dtype) => autocast.run(() => model.call(images.to(dtype))),
 *   step: (autocast, dtype, scale) => {
 *     const loss = autocast.run(() => lossOf(model.call(images.to(dtype))));
 *     loss.mul(scale).backward();
 *     return loss.item();
 *   },
 *   autocast: (precision) => new Autocast(precision),
 * });
 */
export function calibrate(task: CalibrationTask): Calibration {
  const { progress = () => {} } = task;
  const steps = new Steps(task);
  const plain = task.autocast("32-true");
  progress("float64, the reference");
  const exact = exactStep(steps, plain);
  progress("float32, under the monitor");
  const monitor = new Monitor();
  monitor.begin();
  steps.run(plain, firstScale);
  const watched = monitor.end().gradient;

  const measured = (precision: Precision): Trial => {
    progress(precision);
    return tryPrecision(steps, precision, plain, exact);
  };
  const base = measured("32-true");
  const possible = precisionsOf(steps.device);
  const others = possible.filter((p) => p !== "32-true" && (task.precisions ?? possible).includes(p));
  const trials = [base, ...others.map(measured)];
  const formats = (task.formats ?? []).map((format): CalibratedFormat => {
    progress(format);
    return { format, ...tryPrecision(steps, "bf16-mixed", plain, exact, format).errors };
  });
  // They would count as memory of the timed steps.
  for (const kept of [...exact.gradients, exact.choices]) kept?.dispose();
  for (let round = 1; round <= (task.rounds ?? 3); round++)
    for (const trial of trials) {
      progress(`${trial.precision}, round ${round}`);
      measureStep(steps, trial);
    }
  steps.close();
  const rows = trials.map((trial) => rowOf(trial, base, watched));
  return {
    exact: { loss: exact.loss, gradient_norm: exact.norm },
    precisions: rows,
    formats,
    recommended: recommend(rows),
  };
}

function exactStep(steps: Steps, plain: Autocast): Exact {
  const { model } = steps.task;
  scope(() => void model.to("float64"));
  try {
    const choices = new Choices();
    const loss = choices.record(() => steps.run(plain, 1, "float64"));
    const gradients = keep(steps.gradients());
    return { loss, gradients, norm: norm(gradients), choices };
  } finally {
    steps.drop();
    scope(() => void model.to("float32"));
  }
}

/**
 * Runs the first step of a precision, at the first loss scale that gives finite gradients, and measures the errors of
 * its modules.
 */
function tryPrecision(
  steps: Steps,
  precision: Precision,
  plain: Autocast,
  exact: Exact,
  format?: NumberFormatName,
): Trial {
  const autocast = steps.task.autocast(precision, format);
  let scale = precision === "16-mixed" ? firstScale : 1;
  let loss = steps.run(autocast, scale);
  while (precision === "16-mixed" && scale > 1 && !gradientsFinite(steps.parameters)) {
    autocast.clearCache();
    scale /= 2;
    loss = steps.run(autocast, scale);
  }
  const nonfinite = !Number.isFinite(loss) || !gradientsFinite(steps.parameters);
  const toExact = (): number => scope(() => cosine(steps.gradients(), exact.gradients));
  const gradient_cosine = toExact();
  exact.choices.repeat(() => steps.run(autocast, scale));
  const [rounding_cosine, choices] = [toExact(), exact.choices.agreement];
  autocast.clearCache();
  const errors =
    precision === "32-true"
      ? []
      : compareModules(
          () => steps.forward(plain),
          () => steps.forward(autocast),
        );
  const modules = worstModules(errors);
  autocast.clearCache();
  const loss_error = relative(loss, exact.loss);
  const found = { loss, loss_error, gradient_cosine, rounding_cosine, choices, nonfinite, modules };
  return { precision, autocast, scale, errors: found, seconds: [], peak: 0 };
}

/** Runs one step and adds its time and its memory to the trial. */
function measureStep(steps: Steps, trial: Trial): void {
  steps.drop();
  resetPeakMemory(steps.device);
  const start = performance.now();
  steps.run(trial.autocast, trial.scale);
  trial.seconds.push((performance.now() - start) / 1000);
  trial.peak = Math.max(trial.peak, memory(steps.device).peakBytes);
  trial.autocast.clearCache();
}

function rowOf(trial: Trial, base: Trial, watched: readonly ModuleRecord[]): CalibratedPrecision {
  return {
    precision: trial.precision,
    step_seconds: median(trial.seconds),
    speedup: median(base.seconds) / median(trial.seconds),
    peak_tensor_bytes: trial.peak,
    memory_ratio: trial.peak / base.peak,
    ...trial.errors,
    scale: trial.scale,
    underflow_share: underflow(trial.precision, watched, trial.scale),
  };
}

/**
 * Recommends the fastest precision whose gradient is close to the exact one at the same choices. To be worth it, a
 * precision must be at least 1.1 times as fast as `32-true`, or need at most 90 % of its memory at no less than 0.95
 * times its speed.
 * @param rows what was measured of each precision in one run
 * @returns the precision, and the reason in words to print
 */
export function recommend(rows: readonly CalibratedPrecision[]): Calibration["recommended"] {
  const low = rows.filter((row) => row.precision !== "32-true");
  const right = low.filter((row) => !row.nonfinite && row.rounding_cosine >= worstCosine);
  const wrong = low.filter((row) => !right.includes(row));
  const best = right
    .filter((row) => row.speedup >= 1.1 || (row.speedup >= 0.95 && row.memory_ratio <= 0.9))
    .sort((a, b) => b.speedup - a.speedup)[0];
  if (best !== undefined)
    return {
      precision: best.precision,
      reason: `measured here: ${best.speedup.toFixed(2)} times as fast as 32-true with ${Math.round(best.memory_ratio * 100)} % of its peak memory; its gradient agrees with the exact one (cosine ${best.rounding_cosine.toFixed(4)}${best.choices.length > 0 ? " at the same choices" : ""})`,
    };
  if (right.length > 0)
    return {
      precision: "32-true",
      reason: `measured here: no low precision is worth it; ${right.map((row) => `${row.precision} runs at ${row.speedup.toFixed(2)} times the speed`).join(", ")}`,
    };
  const faults = wrong.map((row) => {
    const direction = `changes the direction of the gradient (cosine ${row.rounding_cosine.toFixed(3)})`;
    return `${row.precision} ${row.nonfinite ? "is not finite" : direction}`;
  });
  return { precision: "32-true", reason: `measured here: ${faults.join(", ") || "no other precision was tried"}` };
}

/**
 * The share of the gradient values that a precision rounds to zero.
 * @param watched the float32 gradients, with the exponents that they have at a loss scale of {@link firstScale}
 * @param scale the loss scale of the precision
 */
function underflow(precision: Precision, watched: readonly ModuleRecord[], scale: number): number {
  if (precision === "32-true" || precision === "tf32") return 0;
  // Float16 rounds magnitudes below 2^−25 to zero. Bfloat16 has the exponents of float32 and loses only subnormals.
  const limit = precision === "16-mixed" ? -25 + Math.log2(firstScale / scale) : -133 + Math.log2(firstScale);
  let [lost, all] = [0, 0];
  for (const { exponents } of watched)
    exponents.counts.forEach((count, i) => {
      all += count;
      if (exponents.first + i < limit) lost += count;
    });
  return all === 0 ? 0 : lost / all;
}

function cosine(a: readonly (Tensor | null)[], b: readonly (Tensor | null)[]): number {
  return noGrad(() => {
    let [ab, aa, bb] = [0, 0, 0];
    a.forEach((x, i) => {
      const y = b[i] ?? null;
      if (x === null || y === null) return;
      scope(() => {
        const wide = x.double();
        ab += wide.mul(y).sum().item();
        aa += wide.mul(wide).sum().item();
        bb += y.mul(y).sum().item();
      });
    });
    return ab / Math.sqrt(aa * bb);
  });
}

const relative = (value: number, exact: number): number => Math.abs(value - exact) / Math.abs(exact);

const norm = (gradients: readonly (Tensor | null)[]): number =>
  noGrad(() => scope(() => Math.hypot(...gradients.map((g) => g?.norm().item() ?? 0))));
