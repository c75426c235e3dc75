// The dry run of a training: it opens the data, builds the model, takes a few steps, and keeps nothing.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { memory, resetPeakMemory } from "@rfdetr/torch";
import type { TrainSettings } from "../settings/settings.js";
import { scratchFolder } from "../support/files/scratch.js";
import { type Busyness, busyness, peakRss } from "../support/machine/machine.js";
import { availableMemory } from "../support/machine/memory.js";
import { type Shape, shapeOf } from "../support/shape.js";
import { fixedBytes } from "../train/measure/memory-peak.js";
import { trainingStep } from "../train/step/step.js";
import type { MicroBatch } from "../train/step/step-parts.js";
import { type MissingWeights, missingWeights } from "../weights/published/published-weights.js";
import { nextImages } from "./custom-code.js";
import type { StartEvent } from "./events/events.js";
import { startEvent } from "./events/make-events.js";
import { RunDirectory } from "./files/run-directory.js";
import { whoTrains } from "./launch/who-trains.js";
import { Leader } from "./ranks/leader.js";
import { Ranks } from "./ranks/ranks.js";
import { prepareRun } from "./session/prepare.js";
import type { Session } from "./session/session.js";
import type { OpenTrainData } from "./session/training-data.js";
import { type StepTime, timeSteps } from "./step-time.js";

/** What a run would be, and what its first step took. Sizes in bytes. */
export interface DryRun {
  /** What the run would begin with. Its folder is `output_dir`, or null for a new one under `runs/`. */
  start: Omit<StartEvent, "type" | "dir"> & { dir: string | null };
  /** What would be downloaded first; the step was taken with random weights then. Null where nothing would be. */
  download: MissingWeights | null;
  notes: string[];
  warnings: string[];
  /** The step on the first batch, at the largest size of multi-scale training. */
  step: { size: Shape; loss: number; applied: boolean; fault: string | null };
  memory: {
    /** What stays between two steps. */
    weights: number;
    gradients: number;
    moments: number;
    average: number;
    /** Peak of all tensors in a step of the largest size. */
    peak: number;
    /** Largest resident set of the process so far. */
    process: number;
    /** What the machine and its limits had left before the run was prepared. */
    available: number;
  };
  /** Of a step of average size: mean, least and most of what was measured. Of an epoch of them, without evaluation. */
  seconds: StepTime["seconds"] & { epoch: number };
  timed: StepTime["timed"];
  /** How busy the machine was before. */
  load: Busyness;
}

/** Hears of a dry run. */
export interface DryRunListener {
  warn: (message: string) => void;
  progress: (what: string) => void;
}

/**
 * Prepares a run as `TrainRun` would, takes two steps on its first batch and more where they are quick, and takes
 * everything back. Nothing is downloaded; the folder of the run is not kept.
 * @param tell.warn is called with what takes long, `tell.progress` with what is done next
 * @throws what the run would fail with before its second step
 */
export async function dryRun(
  settings: TrainSettings,
  openData: OpenTrainData,
  maxRestarts = 0,
  { warn, progress }: DryRunListener = { warn: () => {}, progress: () => {} },
): Promise<DryRun> {
  whoTrains(settings, { maxRestarts });
  const [available, load] = [availableMemory(), busyness()];
  RunDirectory.create(settings.outputDir, settings.model).giveUp();
  const folder = scratchFolder("dry-run");
  try {
    const download = settings.weights === null ? null : missingWeights(settings.weights, { model: settings.model });
    const weights = download === null ? settings.weights : null;
    const request = {
      settings: { ...settings, weights, outputDir: join(folder, "run") },
      resume: null,
      stop: new Int32Array(new SharedArrayBuffer(4)),
    };
    progress("opening the data and building the model");
    const session = await prepareRun(request, null, openData, new Leader(new Ranks(null), request.stop));
    session.waits.listen(warn);
    try {
      return { ...(await firstStep(session, available, progress)), ...described(session, settings), download, load };
    } finally {
      session.directory.release();
      await session.data.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function described(
  session: Session,
  { outputDir, weights }: TrainSettings,
): Pick<DryRun, "start" | "notes" | "warnings"> {
  const { type: _, ...start } = startEvent(session);
  return {
    start: { ...start, dir: outputDir, weights: start.weights ?? weights },
    notes: session.notes,
    warnings: session.warnings,
  };
}

async function firstStep(
  session: Session,
  available: number,
  progress: DryRunListener["progress"],
): Promise<Pick<DryRun, "step" | "memory" | "seconds" | "timed">> {
  const { parts, ema, stepsPerEpoch } = session;
  progress("reading the first batch");
  const microBatches = await firstBatch(session);
  progress("taking the first step");
  // It makes the moments and prepares what later steps use: the second one is as they are.
  const { loss, applied, fault } = trainingStep(parts, microBatches, { ema });
  resetPeakMemory(parts.device);
  progress("measuring the second step");
  const began = performance.now();
  trainingStep(parts, microBatches, { ema });
  const largest = (performance.now() - began) / 1000;
  const peak = memory(parts.device).peakBytes;
  const [{ height, width }] = microBatches;
  const { seconds, timed } = await timeSteps(session, { microBatches, largest }, progress);
  return {
    step: { size: shapeOf(height, width), loss, applied, fault: fault?.what ?? null },
    memory: { ...fixedBytes(parts, ema), peak, process: peakRss(), available },
    seconds: { ...seconds, epoch: seconds.step * stepsPerEpoch },
    timed,
  };
}

/** The micro-batches of the first step that one process computes. */
async function firstBatch({ data, settings, waits }: Session): Promise<MicroBatch[]> {
  for await (const microBatches of waits.each(nextImages(settings), data.steps(0, 0)))
    return microBatches.slice(0, settings.gradAccumSteps);
  return [];
}
