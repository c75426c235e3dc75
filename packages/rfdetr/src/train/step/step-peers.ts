// What the processes that make a step together tell each other, and what comes of it.
import type { Tensor } from "@rfdetr/torch";
import type { StepSeconds } from "./step-parts.js";

/** What the criterion gave for a micro-batch. */
export interface MicroBatchLoss {
  /** Its number in the step, from 0. */
  number: number;
  /** The weighted sum of all terms. */
  loss: number;
  /** The unweighted terms. */
  terms: readonly (readonly [name: string, value: number])[];
}

/** What one process did in a step. */
export interface RankResult {
  losses: readonly MicroBatchLoss[];
  images: number;
  /** L2 norm of the gradients after they were added up, without the loss scale; null where a loss was at fault. */
  gradNorm: number | null;
  seconds: StepSeconds;
}

/** The processes that make a step together, as one of them sees them. */
export interface StepPeers {
  /** Backward of the last loss of this process; it adds up the gradients of all processes. */
  backward(loss: Tensor): void;
  /** One gradient of every process, in the order of the ranks. */
  gather(gradient: Tensor): Tensor[];
  /** Tells what this process did. @returns what each did, in the order of the ranks */
  exchange(own: RankResult): RankResult[];
}

/** The losses of a step. */
export interface StepLosses {
  /** Mean over the micro-batches; of a faulty step the sum up to the first that is not finite. */
  loss: number;
  /** The same of the unweighted terms. */
  terms: Map<string, number>;
  /** Number of the first micro-batch whose loss is not finite; null where all are. */
  bad: number | null;
}

/** Adds up the losses of micro-batches in their order, so that the sums do not depend on who computed them. */
export function sumLosses(losses: readonly MicroBatchLoss[], microBatches: number): StepLosses {
  const share = 1 / microBatches;
  const terms = new Map<string, number>();
  let sum = 0;
  for (const { number, loss, terms: parts } of [...losses].sort((a, b) => a.number - b.number)) {
    for (const [name, value] of parts) terms.set(name, (terms.get(name) ?? 0) + value * share);
    sum += loss * share;
    if (!Number.isFinite(loss)) return { loss: sum, terms, bad: number };
  }
  return { loss: sum, terms, bad: null };
}
