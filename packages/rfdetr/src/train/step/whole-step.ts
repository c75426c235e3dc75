// A step as a whole: what a process must know of it to compute its own micro-batches.
import { manualSeed } from "@rfdetr/torch";
import { boxesOf } from "../../loss/criterion.js";
import { Rng } from "../../support/random.js";
import type { MicroBatch } from "./step-parts.js";

/** The step that some micro-batches are those of, or a part of. */
export interface WholeStep {
  /** Number of its micro-batches, in all processes. */
  microBatches: number;
  /**
   * The shares that a step is cut into: micro-batch n belongs to share n mod `shares`. The gradients of each share are
   * added up first, then the shares, each in their order. So the sums have the same bits in any number of processes
   * that divides the shares.
   */
  shares: number;
  /** The number of each of this process's micro-batches, from 0. */
  numbers: readonly number[];
  /** Boxes that the losses of each micro-batch are divided by; null: its own. */
  boxes: number | null;
  /** What the random numbers of forward are made from, beside the number of the micro-batch; null leaves them alone. */
  seed: readonly number[] | null;
}

/** The step of one process, whose losses are divided by the boxes of their micro-batch. */
export function wholeStep(microBatches: readonly MicroBatch[]): WholeStep {
  const { length } = microBatches;
  return { microBatches: length, shares: 1, numbers: [...microBatches.keys()], boxes: null, seed: null };
}

/** The places of this process's micro-batches, one list for each of its shares. */
export function placesByShare({ shares, numbers }: WholeStep): number[][] {
  const byShare = new Map<number, number[]>();
  for (const [place, number] of numbers.entries()) {
    const share = number % shares;
    byShare.set(share, [...(byShare.get(share) ?? []), place]);
  }
  return [...byShare].sort(([a], [b]) => a - b).map(([, places]) => places);
}

/** The boxes that each micro-batch of a step divides by with `box_normaliser` step: the mean over all of them. */
export function meanBoxes(boxes: readonly number[]): number {
  return boxes.reduce((sum, each) => sum + each, 0) / boxes.length;
}

/** The boxes of each micro-batch. */
export function boxesOfEach(microBatches: readonly MicroBatch[]): number[] {
  return microBatches.map(({ targets }) => boxesOf(targets));
}

/**
 * Makes the random numbers of a forward, such as which layers it drops. They depend on nothing but seed, step and
 * micro-batch, so they are the same in any process, after any resume and when the step is run again.
 */
export function seedForward({ seed }: WholeStep, microBatch: number): void {
  if (seed !== null) manualSeed(new Rng("forward", ...seed, microBatch).integer(0, 2 ** 32 - 1));
}
