// Calibration: every precision measured on the user's own model and batch, and which one to take.
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
import { type Precision, precisions } from "./auto-precision.js";
import type { Autocast } from "./autocast.js";
import { compareModules } from "./compare-modules.js";
import { gradientsFinite } from "./finite.js";
import { median } from "./median.js";
import { Monitor } from "./monitor.js";
import type { CalibratedPrecision, ModuleRecord } from "./step-record.js";

/** The step that a calibration measures. */
export interface CalibrationTask {
  model: nn.Module;
  /** Forward of the batch under `autocast`, images in `dtype`; the result is not looked at. */
  forward: (autocast: Autocast, dtype: DType) => unknown;
  /**
   * Forward, loss and backward on the loss times `scale`; gradients are left in the parameters. @returns the loss,
   * unscaled
   */
  step: (autocast: Autocast, dtype: DType, scale: number) => number;
  /** An autocast of a precision, as training would make it. */
  autocast: (precision: Precision) => Autocast;
  /** Measured steps of each precision, after one that is not; they take turns. Default 3. */
  rounds?: number;
  /** Precisions to try; default all. `32-true` is always measured. */
  precisions?: readonly Precision[];
  progress?: (what: string) => void;
}

/** What a calibration measured in each precision, and what it recommends. */
export interface Calibration {
  /** What errors are measured against: the same step in float64. */
  exact: { loss: number; gradient_norm: number };
  precisions: CalibratedPrecision[];
  recommended: { precision: Precision; reason: string };
}

const firstScale = 65536;
/** Below this a gradient is not the direction that training was asked for. */
const worstCosine = 0.98;

/** The step in float64, which errors are measured against. The gradients are kept. */
interface Exact {
  loss: number;
  gradients: (Tensor | null)[];
  norm: number;
}

/** One precision while it is measured. */
interface Trial {
  precision: Precision;
  autocast: Autocast;
  scale: number;
  loss: number;
  nonfinite: boolean;
  cosine: number;
  modules: CalibratedPrecision["modules"];
  seconds: number[];
  peak: number;
}

/** Runs the task's steps, all with the same random numbers. */
class Steps {
  readonly #rng = keep(getRngState());
  readonly parameters: readonly nn.Parameter[];
  constructor(readonly task: CalibrationTask) {
    this.parameters = task.model.parameters();
  }

  /** @returns the loss; the gradients are in the parameters */
  run(autocast: Autocast, scale: number, dtype: DType = "float32"): number {
    this.drop();
    setRngState(this.#rng);
    return scope(() => this.task.step(autocast, dtype, scale));
  }

  forward(autocast: Autocast): void {
    setRngState(this.#rng);
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
 * Measures a task in every precision. Parameters are converted to float64 and back, which changes none; gradients are
 * dropped; the random generator is put back before every step, so that all see the same dropout.
 */
export function calibrate(task: CalibrationTask): Calibration {
  const { progress = () => {} } = task;
  const steps = new Steps(task);
  const plain = task.autocast("32-true");
  progress("float64, to judge by");
  const exact = exactStep(steps, plain);
  progress("float32, watched");
  const monitor = new Monitor();
  monitor.begin();
  steps.run(plain, firstScale);
  const watched = monitor.end().gradient;

  const measured = (precision: Precision): Trial => {
    progress(precision);
    return tryPrecision(steps, precision, plain, exact);
  };
  const base = measured("32-true");
  const others = precisions.filter((p) => p !== "32-true" && (task.precisions ?? precisions).includes(p));
  const trials = [base, ...others.map(measured)];
  for (let round = 1; round <= (task.rounds ?? 3); round++)
    for (const trial of trials) {
      progress(`${trial.precision}, round ${round}`);
      measureStep(steps, trial);
    }
  steps.close();
  for (const gradient of exact.gradients) gradient?.dispose();
  const rows = trials.map((trial) => rowOf(trial, base, exact, watched));
  return { exact: { loss: exact.loss, gradient_norm: exact.norm }, precisions: rows, recommended: recommend(rows) };
}

function exactStep(steps: Steps, plain: Autocast): Exact {
  const { model } = steps.task;
  scope(() => void model.to("float64"));
  try {
    const loss = steps.run(plain, 1, "float64");
    const gradients = keep(steps.gradients());
    return { loss, gradients, norm: norm(gradients) };
  } finally {
    steps.drop();
    scope(() => void model.to("float32"));
  }
}

/** The first step of a precision, at the first loss scale with finite gradients, and the errors of its modules. */
function tryPrecision(steps: Steps, precision: Precision, plain: Autocast, exact: Exact): Trial {
  const autocast = steps.task.autocast(precision);
  let scale = precision === "16-mixed" ? firstScale : 1;
  let loss = steps.run(autocast, scale);
  while (precision === "16-mixed" && scale > 1 && !gradientsFinite(steps.parameters)) {
    autocast.clearCache();
    scale /= 2;
    loss = steps.run(autocast, scale);
  }
  const nonfinite = !Number.isFinite(loss) || !gradientsFinite(steps.parameters);
  const gradientCosine = scope(() => cosine(steps.gradients(), exact.gradients));
  autocast.clearCache();
  const errors =
    precision === "32-true"
      ? []
      : compareModules(
          () => steps.forward(plain),
          () => steps.forward(autocast),
        );
  const modules = errors.sort((a, b) => order(b.relative_error) - order(a.relative_error)).slice(0, 10);
  autocast.clearCache();
  return { precision, autocast, scale, loss, nonfinite, cosine: gradientCosine, modules, seconds: [], peak: 0 };
}

/** Adds the time and the memory of one step. */
function measureStep(steps: Steps, trial: Trial): void {
  steps.drop();
  resetPeakMemory();
  const start = performance.now();
  steps.run(trial.autocast, trial.scale);
  trial.seconds.push((performance.now() - start) / 1000);
  trial.peak = Math.max(trial.peak, memory().peakBytes);
  trial.autocast.clearCache();
}

function rowOf(trial: Trial, base: Trial, exact: Exact, watched: readonly ModuleRecord[]): CalibratedPrecision {
  return {
    precision: trial.precision,
    step_seconds: median(trial.seconds),
    speedup: median(base.seconds) / median(trial.seconds),
    peak_tensor_bytes: trial.peak,
    memory_ratio: trial.peak / base.peak,
    loss: trial.loss,
    loss_error: Math.abs(trial.loss - exact.loss) / Math.abs(exact.loss),
    gradient_cosine: trial.cosine,
    nonfinite: trial.nonfinite,
    scale: trial.scale,
    underflow_share: underflow(trial.precision, watched, trial.scale),
    modules: trial.modules,
  };
}

/**
 * The fastest precision that is right; a lower precision must be a tenth faster, or save a tenth of the memory,
 * to be worth it.
 */
export function recommend(rows: readonly CalibratedPrecision[]): Calibration["recommended"] {
  const low = rows.filter((row) => row.precision !== "32-true");
  const right = low.filter((row) => !row.nonfinite && row.gradient_cosine >= worstCosine);
  const wrong = low.filter((row) => !right.includes(row));
  const best = right
    .filter((row) => row.speedup >= 1.1 || (row.speedup >= 0.95 && row.memory_ratio <= 0.9))
    .sort((a, b) => b.speedup - a.speedup)[0];
  if (best !== undefined)
    return {
      precision: best.precision,
      reason: `measured here: ${best.speedup.toFixed(2)} times as fast as 32-true with ${Math.round(best.memory_ratio * 100)} % of its peak memory; its gradient points where the exact one does (cosine ${best.gradient_cosine.toFixed(4)})`,
    };
  if (right.length > 0)
    return {
      precision: "32-true",
      reason: `measured here: no half precision is worth it; ${right.map((row) => `${row.precision} runs at ${row.speedup.toFixed(2)} times the speed`).join(", ")}`,
    };
  return {
    precision: "32-true",
    reason: `measured here: ${wrong.map((row) => `${row.precision} ${row.nonfinite ? "is not finite" : `turns the gradient (cosine ${row.gradient_cosine.toFixed(3)})`}`).join(", ") || "nothing else was tried"}`,
  };
}

/** Values flushed, by the binary exponents that the float32 gradients had at a scale of {@link firstScale}. */
function underflow(precision: Precision, watched: readonly ModuleRecord[], scale: number): number {
  if (precision === "32-true") return 0;
  // Float16 rounds below 2^−25 to zero; bfloat16 has float32's exponents and loses only its subnormals.
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

const norm = (gradients: readonly (Tensor | null)[]): number =>
  noGrad(() => scope(() => Math.hypot(...gradients.map((g) => g?.norm().item() ?? 0))));
/** NaN is the worst of errors. */
const order = (error: number): number => (Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
