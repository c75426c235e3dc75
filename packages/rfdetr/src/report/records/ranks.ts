// What the processes of a run did in its steps, collected in little memory.
import type { GroupRecord, RankColumns } from "../../run/files/numerics/rank-records.js";
import { median } from "../../support/statistics.js";
import { NoiseScale } from "./noise-scale.js";
import { PointCollector, type StepPoints } from "./step-points.js";

/** One process, as a mean over its last steps. */
export interface RankMeans {
  rank: number;
  /** The name of its machine; empty where it is not recorded. */
  host: string;
  /** Seconds a step, as {@link RankColumns} has them. */
  work: number;
  load: number;
  wait: number;
  /** The L2 norm of its share of the gradient; NaN where it is not known: of a process with several shares. */
  gradNorm: number;
}

/** The processes of the last steps of a run. */
export interface RankSummary {
  /** The first step that they made, and the number of those that are recorded. */
  since: number;
  steps: number;
  /** Images of a step of all processes. */
  images: number;
  /** Means over about the last hundred steps. */
  ranks: RankMeans[];
  /** Seconds a step that even the process that waited least did: what the exchange itself costs. */
  exchange: number;
  /** See {@link NoiseScale}; null where it is not known. */
  noiseScale: number | null;
  /**
   * The course of `work`, `wait` and `grad_norm` of each process, such as `work.0`; of many processes the least, the
   * median and the most, such as `work.most`. And `noise_scale`.
   */
  points: StepPoints;
}

/** Processes that have curves of their own; of more one sees the extremes. */
export const mostCurves = 8;
/** Steps that means are taken over. */
const span = 100;
const points = 160;
const followed = ["work", "wait", "grad_norm"] as const;

/** Collects the records of the processes. Those that a run is continued with begin anew. */
export class RankCollector {
  #hosts: readonly string[] = [];
  #since = 0;
  #steps = 0;
  #images = 0;
  #exchange = 0;
  #ranks: RankMeans[] = [];
  #points = new PointCollector(points);
  #noise = new NoiseScale();

  group({ step, hosts }: GroupRecord): void {
    if (this.#hosts.join() === hosts.join() && this.#steps > 0) return;
    this.#restart(step, hosts);
  }

  /** @param norm that of the gradient of all processes */
  add(step: number, columns: RankColumns, { norm, skipped }: { norm: number; skipped: boolean }): void {
    const { images, work, load, wait, grad_norm } = columns;
    if (work.length !== this.#hosts.length) this.#restart(step, Array(work.length).fill(""));
    const share = 1 / Math.min(++this.#steps, span);
    const towards = (before: number, now: number): number =>
      !Number.isFinite(now) ? before : Number.isFinite(before) ? before + share * (now - before) : now;
    this.#images = images.reduce((sum, each) => sum + each, 0);
    this.#exchange = towards(this.#exchange, Math.min(...wait));
    for (const [rank, means] of this.#ranks.entries()) {
      means.work = towards(means.work, work[rank]);
      means.load = towards(means.load, load[rank]);
      means.wait = towards(means.wait, wait[rank]);
      means.gradNorm = towards(means.gradNorm, grad_norm[rank]);
    }
    // A process has the share of its images in the gradient: the mean over them is that many times larger.
    const even = images.every((each) => each === images[0]);
    if (!skipped && even)
      this.#noise.add({ norms: grad_norm.map((each) => each * work.length), images: images[0], norm });
    const noise = this.#noise.value(1);
    const figures = followed.flatMap((name) => curvesOf(name, columns[name]));
    this.#points.add(step, skipped, noise === null ? figures : [...figures, ["noise_scale", noise]]);
  }

  /** Null for a run of one process. */
  summary(): RankSummary | null {
    if (this.#steps === 0) return null;
    return {
      since: this.#since,
      steps: this.#steps,
      images: this.#images,
      exchange: this.#exchange,
      ranks: this.#ranks.map((rank) => ({ ...rank })),
      noiseScale: this.#noise.value(),
      points: this.#points.points(),
    };
  }

  #restart(step: number, hosts: readonly string[]): void {
    [this.#since, this.#hosts, this.#steps, this.#exchange] = [step, hosts, 0, 0];
    this.#ranks = hosts.map((host, rank) => ({ rank, host, work: 0, load: 0, wait: 0, gradNorm: Number.NaN }));
    this.#points = new PointCollector(points);
    this.#noise = new NoiseScale();
  }
}

function curvesOf(name: string, column: readonly number[]): [string, number][] {
  if (column.length <= mostCurves) return column.map((value, rank) => [`${name}.${rank}`, value]);
  const finite = column.filter(Number.isFinite);
  return [
    [`${name}.least`, Math.min(...finite)],
    [`${name}.median`, median(finite)],
    [`${name}.most`, Math.max(...finite)],
  ];
}

/** A process that holds up the others. */
export interface SlowRank extends RankMeans {
  /** Seconds a step that the others work, in the median. */
  others: number;
  /** Seconds of the difference in which it waits for images. */
  loading: number;
}

/** The process that works much longer than the others; null where none does, or too few steps are known. */
export function slowRank({ ranks, steps }: RankSummary): SlowRank | null {
  if (ranks.length < 2 || steps < 10) return null;
  const slowest = ranks.reduce((a, b) => (b.work > a.work ? b : a));
  const rest = ranks.filter((each) => each !== slowest);
  const others = median(rest.map(({ work }) => work));
  if (slowest.work < 1.15 * others) return null;
  return { ...slowest, others, loading: Math.max(0, slowest.load - median(rest.map(({ load }) => load))) };
}
