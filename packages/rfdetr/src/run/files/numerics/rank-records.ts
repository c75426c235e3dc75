// What processes that train together leave in numerics.jsonl: one record of the group, and columns in each step record.
import { numericsVersion } from "./numerics-records.js";

/** What one process did in a step, as the processes tell each other. */
export interface RankStep {
  /** The name of its machine. */
  host: string;
  /** Images of its micro-batches. */
  images: number;
  /** Seconds in which it did its own work: images, forward, loss and backward. */
  work: number;
  /** Those of them in which it waited for the loader. */
  load: number;
  /** Seconds in which it waited for the others or for the network. */
  wait: number;
  /**
   * The L2 norm of its own gradients, before they are added to those of the others: without the loss scale, with the
   * share that its micro-batches have in the step. NaN where one is not finite.
   */
  gradNorm: number;
}

/**
 * `ranks` of a step record: what each process did, in the order of the ranks. See {@link RankStep}. Missing in the
 * records of one process.
 */
export interface RankColumns {
  images: number[];
  work: number[];
  load: number[];
  wait: number[];
  grad_norm: number[];
}

/** Which processes make the steps from `step` on: a run may be continued with another number of them. */
export interface GroupRecord {
  v: typeof numericsVersion;
  kind: "group";
  step: number;
  /** The machine of each process, in the order of the ranks. */
  hosts: string[];
}

/** The record of a group that makes its first step. */
export const groupRecord = (step: number, ranks: readonly RankStep[]): GroupRecord => ({
  v: numericsVersion,
  kind: "group",
  step,
  hosts: ranks.map(({ host }) => host),
});

/** The columns of a step. Seconds to a tenth of a millisecond, norms as float32 has them. */
export const rankColumns = (ranks: readonly RankStep[]): RankColumns => ({
  images: ranks.map(({ images }) => images),
  work: ranks.map(({ work }) => Number(work.toFixed(4))),
  load: ranks.map(({ load }) => Number(load.toFixed(4))),
  wait: ranks.map(({ wait }) => Number(wait.toFixed(4))),
  grad_norm: ranks.map(({ gradNorm }) => Number(gradNorm.toPrecision(7))),
});
