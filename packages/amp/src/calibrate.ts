// Calibration: every precision measured on the user's own model and batch, and which one to take.
import { type DType, getRngState, keep, memory, type nn, noGrad, resetPeakMemory, scope, setRngState, type Tensor } from "@rfdetr/torch";
import type { Autocast } from "./autocast.js";
import { compareModules } from "./compare-modules.js";
import { gradientsFinite } from "./finite.js";
import { Monitor } from "./monitor.js";
import { type Precision, precisions } from "./precision.js";
import type { CalibratedPrecision, ModuleRecord } from "./step-record.js";

/** The step that a calibration measures. */
export interface CalibrationTask {
  model: nn.Module;
  /** Forward of the batch under `autocast`, images in `dtype`; the result is not looked at. */
  forward: (autocast: Autocast, dtype: DType) => unknown;
  /** Forward, loss and backward on the loss times `scale`; gradients are left in the parameters. @returns the loss, unscaled */
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
/** Below this a half-precision gradient is not the direction that training was asked for. */
const worstCosine = 0.98;

/**
 * Measures a task in every precision. Parameters are converted to float64 and back, which changes none; gradients are dropped; the random
 * generator is put back before every step, so that all see the same dropout.
 */
export function calibrate(task: CalibrationTask): Calibration {
  const { model, progress = () => {} } = task;
  const rng = keep(getRngState());
  const parameters = model.parameters();
  const drop = (): void =>
    parameters.forEach((p) => {
      p.grad = null;
    });
  const run = (autocast: Autocast, scale: number, dtype: DType = "float32"): number => {
    drop();
    setRngState(rng);
    return scope(() => task.step(autocast, dtype, scale));
  };
  const plain = task.autocast("32-true");

  progress("float64, to judge by");
  scope(() => void model.to("float64"));
  let exact: { loss: number; gradients: (Tensor | null)[]; norm: number };
  try {
    const loss = run(plain, 1, "float64");
    const gradients = keep(parameters.map((p) => p.grad));
    exact = { loss, gradients, norm: norm(gradients) };
  } finally {
    drop();
    scope(() => void model.to("float32"));
  }

  progress("float32, watched");
  const monitor = new Monitor();
  monitor.begin();
  run(plain, firstScale);
  const watched = monitor.end().gradient;

  const tried = precisions.filter((p) => p === "32-true" || (task.precisions ?? precisions).includes(p));
  const measured = tried.map((precision) => {
    progress(precision);
    const autocast = task.autocast(precision);
    let scale = precision === "16-mixed" ? firstScale : 1;
    let loss = run(autocast, scale);
    while (precision === "16-mixed" && scale > 1 && !gradientsFinite(parameters)) {
      autocast.clearCache();
      scale /= 2;
      loss = run(autocast, scale);
    }
    const nonfinite = !Number.isFinite(loss) || !gradientsFinite(parameters);
    const gradient_cosine = scope(() =>
      cosine(
        parameters.map((p) => p.grad),
        exact.gradients,
      ),
    );
    autocast.clearCache();
    const forward = (by: Autocast) => () => {
      setRngState(rng);
      task.forward(by, "float32");
    };
    const modules =
      precision === "32-true"
        ? []
        : compareModules(forward(plain), forward(autocast))
            .sort((a, b) => order(b.relative_error) - order(a.relative_error))
            .slice(0, 10);
    autocast.clearCache();
    return { autocast, precision, seconds: [] as number[], peak: 0, scale, loss, nonfinite, gradient_cosine, modules };
  });

  for (let round = 0; round < (task.rounds ?? 3); round++)
    for (const row of measured) {
      progress(`${row.precision}, round ${round + 1}`);
      drop();
      resetPeakMemory();
      const start = performance.now();
      run(row.autocast, row.scale);
      row.seconds.push((performance.now() - start) / 1000);
      row.peak = Math.max(row.peak, memory().peakBytes);
      row.autocast.clearCache();
    }
  drop();
  for (const gradient of exact.gradients) gradient?.dispose();
  rng.dispose();

  const base = measured[0];
  const rows = measured.map(
    (row): CalibratedPrecision => ({
      precision: row.precision,
      step_seconds: median(row.seconds),
      speedup: median(base.seconds) / median(row.seconds),
      peak_tensor_bytes: row.peak,
      memory_ratio: row.peak / base.peak,
      loss: row.loss,
      loss_error: Math.abs(row.loss - exact.loss) / Math.abs(exact.loss),
      gradient_cosine: row.gradient_cosine,
      nonfinite: row.nonfinite,
      scale: row.scale,
      underflow_share: underflow(row.precision, watched, row.scale),
      modules: row.modules,
    }),
  );
  return { exact: { loss: exact.loss, gradient_norm: exact.norm }, precisions: rows, recommended: recommend(rows) };
}

/** The fastest precision that is right; half precision must be a tenth faster, or save a tenth of the memory, to be worth it. */
export function recommend(rows: readonly CalibratedPrecision[]): Calibration["recommended"] {
  const plain = rows.find((row) => row.precision === "32-true") as CalibratedPrecision;
  const right = rows.filter((row) => row !== plain && !row.nonfinite && row.gradient_cosine >= worstCosine);
  const wrong = rows.filter((row) => row !== plain && !right.includes(row));
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
      const y = b[i];
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
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];
/** NaN is the worst of errors. */
const order = (error: number): number => (Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
