// One step of a run, as each of its processes takes it.

import type { Shard } from "../../data/loader/shards.js";
import type { Shape } from "../../support/shape.js";
import { type StepObserver, type StepResult, trainingStep } from "../../train/step/step.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import type { StepPeers } from "../../train/step/step-peers.js";
import { meanBoxes, type WholeStep } from "../../train/step/whole-step.js";
import type { Training } from "../session/training.js";
import { microBatchesOf } from "../session/training-data.js";

/** What is decided about a step before it is taken. */
export interface StepPlan {
  /** Its number, from 1. */
  step: number;
  /** Steps that were applied before it. */
  applied: number;
  /** The last step of the run, as it is planned now. */
  totalSteps: number;
  /** Factor of all learning rates: after rollbacks, and where callbacks ask for it. */
  lrFactor: number;
  /** What the images are resized to, in pixels; null keeps their size. */
  size: Shape | null;
  /** Whether the moving average is updated if the step is applied. */
  averages: boolean;
}

/** @param boxes of each micro-batch of the step, in all processes */
export function wholeStepOf(
  { settings, seed }: Pick<Training, "settings" | "seed">,
  { step }: StepPlan,
  boxes: readonly number[],
  { rank, size }: Shard,
): WholeStep {
  const microBatches = microBatchesOf(settings);
  return {
    microBatches,
    shares: settings.processes,
    numbers: Array.from({ length: microBatches / size }, (_, i) => rank + i * size),
    boxes: settings.boxNormaliser === "step" ? meanBoxes(boxes) : null,
    seed: [seed, step],
  };
}

/** Takes this process's part of a step. @returns what came of it, and the learning rate that it had */
export function takeStep(
  { parts, ema, schedule }: Pick<Training, "parts" | "ema" | "schedule">,
  microBatches: readonly MicroBatch[],
  { size, averages, applied, totalSteps, lrFactor }: StepPlan,
  whole: WholeStep,
  { observer = null, peers }: { observer?: StepObserver | null; peers: StepPeers | null },
): { result: StepResult; lr: number } {
  schedule.totalSteps = totalSteps;
  const lr = schedule.apply(parts.optimizer, applied, lrFactor);
  const average = averages ? ema : null;
  return { lr, result: trainingStep(parts, microBatches, { size, ema: average, observer, whole, peers }) };
}
