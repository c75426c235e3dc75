// Foresees overflow: follows the headroom of every module over the watched steps.
import { headroomOf, limits } from "./headroom.js";
import type { ModuleRecord } from "./module-record.js";

/** The fewest and the most watched steps that a line goes through. */
const fewest = 4;
const most = 8;
/** The least R² of a line that counts as steady growth. */
const steady = 0.9;
/** How far a line is followed, in lengths of its basis. */
const reach = 3;
/** The bits to overflow from which on growth is no warning yet: most of it ends long before. */
const fewBits = 8;

/**
 * When a module will overflow if its largest value goes on to grow as it did: a straight line through the bits that are
 * left to the largest number of its dtype. There is one only where the bits became fewer from each watched step to the
 * next, close to a line, where the line need not be followed further than three times its basis, where fewer than eight
 * bits are left, and where the overflow would come before the run ends.
 */
export interface ForecastRecord {
  path: string;
  side: "forward" | "gradient";
  /** The dtype that overflows: that of the largest value. */
  dtype: "float16" | "bfloat16" | "float32";
  /** Bits to overflow at this step. */
  headroom: number;
  /** Bits lost per optimizer step. */
  bits_per_step: number;
  /** Optimizer steps from this one to overflow. */
  steps: number;
  /** The same in watched steps. */
  watched_steps: number;
  /** The watched steps that the line goes through: the first of them, how many, and R² of the line, 0.9 to 1. */
  basis: { first: number; records: number; r2: number };
}

interface Point {
  step: number;
  /** Bits to overflow, without the loss scale. */
  bits: number;
}

/** The values of a watched step. */
interface WatchedValues {
  step: number;
  /** The loss scale, which the gradients include. */
  scale: number;
  forward: readonly ModuleRecord[];
  gradient: readonly ModuleRecord[];
}

/**
 * Follows the modules over the watched steps, in their order, and foresees which of them overflow. It keeps
 * the last eight values of each module.
 * @example
 * import { readFileSync } from "node:fs";
 * import { Forecaster, parseRecord } from "@rfdetr/amp/records";
 * const forecaster = new Forecaster();
 * for (const line of readFileSync("runs/nano/numerics.jsonl", "utf8").trim().split("\n")) {
 *   const record = parseRecord(line);
 *   if (record.kind === "monitor") console.log(forecaster.add(record as never));
 * }
 */
export class Forecaster {
  readonly #points = new Map<string, Point[]>();

  /**
   * Adds a watched step. What would overflow after the step `end`, the last one planned, is not foreseen.
   * @returns the modules that will overflow if they go on as they did, the soonest first
   */
  add({ step, scale, forward, gradient }: WatchedValues, end = Number.POSITIVE_INFINITY): ForecastRecord[] {
    return [
      ...forward.flatMap((module) => this.#follow("forward", module, step, 1) ?? []),
      ...gradient.flatMap((module) => this.#follow("gradient", module, step, scale) ?? []),
    ]
      .filter(({ steps }) => step + steps <= end)
      .sort((a, b) => a.steps - b.steps);
  }

  #follow(side: ForecastRecord["side"], module: ModuleRecord, step: number, scale: number): ForecastRecord | null {
    const dtype = dtypeOf(module);
    const headroom = headroomOf(module).fp16.overflow + Math.log2(limits[dtype].largest / limits.float16.largest);
    const bits = headroom + Math.log2(scale);
    const key = `${side} ${module.path}`;
    const before = this.#points.get(key) ?? [];
    const last = before.at(-1);
    // A value that did not grow, or is not finite, ends the growth; what comes after it is a new beginning.
    const grew = last !== undefined && last.step < step && bits < last.bits;
    const points = Number.isFinite(bits) ? [...(grew ? before.slice(1 - most) : []), { step, bits }] : [];
    this.#points.set(key, points);
    const [first] = points;
    if (first === undefined || points.length < fewest || headroom <= 0 || headroom >= fewBits) return null;
    const { slope, r2 } = lineThrough(points);
    const steps = headroom / -slope;
    const span = step - first.step;
    if (r2 < steady || steps > reach * span) return null;
    const watched = steps / (span / (points.length - 1));
    const basis = { first: first.step, records: points.length, r2 };
    return { path: module.path, side, dtype, headroom, bits_per_step: -slope, steps, watched_steps: watched, basis };
  }
}

/** A forecast as a sentence, with its basis. */
export function forecastText(forecast: ForecastRecord): string {
  const { path, side, dtype, headroom, bits_per_step, steps, watched_steps, basis } = forecast;
  const what = side === "forward" ? path : `The gradient of ${path}`;
  const [watched, all] = [watched_steps, steps].map((count) => Math.max(1, Math.round(count)));
  const perWatched = (bits_per_step * steps) / watched_steps;
  return `${what} overflows ${dtype} in about ${watched} watched ${watched === 1 ? "step" : "steps"} (${all} of all) at this growth: ${headroom.toFixed(1)} bits are left, and each watched step took ${perWatched.toFixed(2)} of the ${basis.records} since step ${basis.first} (R² ${basis.r2.toFixed(2)})`;
}

/** The dtype of the largest value of a module; values of float64 are followed as float32. */
function dtypeOf({ largest: { dtype } }: ModuleRecord): ForecastRecord["dtype"] {
  return dtype === "float16" || dtype === "bfloat16" ? dtype : "float32";
}

/** The least-squares line of bits over steps. */
function lineThrough(points: readonly Point[]): { slope: number; r2: number } {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map((p) => p.step)), mean(points.map((p) => p.bits))];
  const sums = points.reduce(
    (s, p) => ({
      xx: s.xx + (p.step - x) ** 2,
      xy: s.xy + (p.step - x) * (p.bits - y),
      yy: s.yy + (p.bits - y) ** 2,
    }),
    { xx: 0, xy: 0, yy: 0 },
  );
  return { slope: sums.xy / sums.xx, r2: sums.xy ** 2 / (sums.xx * sums.yy) };
}
