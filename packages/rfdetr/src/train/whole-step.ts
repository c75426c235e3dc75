// A step as a whole: what this process must know of it to compute its own micro-batches.
import { manualSeed } from "@rfdetr/torch";
import { boxesOf } from "../loss/criterion.js";
import { Rng } from "../support/random.js";
import type { MicroBatch } from "./step-parts.js";

/** The step that some micro-batches are those of, or a part of. */
export interface WholeStep {
  /** Number of its micro-batches, in all processes. */
  microBatches: number;
  /** The number of each of this process's micro-batches among them, from 0. */
  numbers: readonly number[];
  /** Boxes that the losses of each micro-batch are divided by; null: its own. */
  boxes: number | null;
  /** What the random numbers of forward are made from, beside the number of the micro-batch; null leaves them alone. */
  seed: readonly number[] | null;
}

/** The step of one process, whose losses are divided by the boxes of their micro-batch. */
export function wholeStep(microBatches: readonly MicroBatch[]): WholeStep {
  return { microBatches: microBatches.length, numbers: [...microBatches.keys()], boxes: null, seed: null };
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
