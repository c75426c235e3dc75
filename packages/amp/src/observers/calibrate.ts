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
import { lowPrecisionOf, type NumberFormatName, type Precision } from "../names.js";
import type { ModuleRecord } from "../numerics/module-record.js";
import { precisionsOf, resolvePrecision } from "../policy/auto-precision.js";
import type { CalibratedPrecision } from "./calibrated-precision.js";
import { Choices } from "./choices.js";
import { compareModules, worstModules } from "./compare-modules.js";
import { Monitor } from "./monitor.js";
import { type Recommendation, recommend } from "./recommend.js";

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
  /** Timed steps of each precision, after one that is not timed; default {@link roundsFor}. They take turns. */
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
  recommended: Recommendation;
}

/** The loss scale that the search for finite float16 gradients starts with. */
const firstScale = 65536;

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
  for (let round = 1, rounds = 1; round <= rounds; round++) {
    for (const trial of trials) {
      progress(`${trial.precision}, round ${round}`);
      measureStep(steps, trial);
    }
    rounds = task.rounds ?? roundsFor(median(base.seconds));
  }
  steps.close();
  const rows = trials.map((trial) => rowOf(trial, base, watched));
  return {
    exact: { loss: exact.loss, gradient_norm: exact.norm },
    precisions: rows,
    formats,
    recommended: recommend(rows, resolvePrecision("auto", steps.device).precision),
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

/** Rounds in which steps of so many seconds are measured: three, and up to nine of short ones, which scatter more. */
export const roundsFor = (seconds: number): number => Math.min(9, Math.max(3, Math.ceil(2 / seconds)));

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
  const speedups = trial.seconds.map((seconds, round) => (base.seconds[round] ?? seconds) / seconds);
  return {
    precision: trial.precision,
    step_seconds: median(trial.seconds),
    speedup: median(base.seconds) / median(trial.seconds),
    speedup_range: [Math.min(...speedups), Math.max(...speedups)],
    peak_tensor_bytes: trial.peak,
    memory_ratio: trial.peak / base.peak,
    ...trial.errors,
    scale: trial.scale,
    underflow_share: underflow(trial.precision, watched, trial.scale),
  };
}

/**
 * The share of the gradient values that a precision rounds to zero.
 * @param watched the float32 gradients, with the exponents that they have at a loss scale of {@link firstScale}
 * @param scale the loss scale of the precision
 */
function underflow(precision: Precision, watched: readonly ModuleRecord[], scale: number): number {
  if (lowPrecisionOf[precision] === null) return 0;
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
