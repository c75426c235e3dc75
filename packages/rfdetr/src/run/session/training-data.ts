// What the training loop asks of its data.

import type { DatasetImage } from "../../data/index.js";
import type { Shard } from "../../data/loader/shards.js";
import type { EvaluationBatch } from "../../eval/batch.js";
import type { ReadySettings } from "../../settings/settings.js";
import type { Shape } from "../../support/shape.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import type { DataContents } from "./data-contents.js";

/** The data of a run. */
export interface TrainData {
  classNames: readonly string[];
  trainImages: number;
  validImages: number;
  /** 0 unless `run_test` is set. */
  testImages: number;
  /** What the run is bound to. */
  contents: DataContents;
  /** SHA-256 of each module of own augmentations, by its path; absent without any. */
  modules?: Readonly<Record<string, string>>;
  /** Optimizer steps in an epoch. */
  stepsPerEpoch: number;
  /** `[classes]` weight of each class in the classification loss; null or absent: 1. */
  classWeights?: readonly number[] | null;
  /** What is done to the data, in sentences. */
  notes?: readonly string[];
  /** What the user should know, such as that annotations were repaired. */
  warnings: readonly string[];
  /**
   * The micro-batches of each step of an epoch (from 0), beginning with step `from`; those of the shard, in their
   * order. They depend only on seed, epoch, step and their number in it.
   */
  steps(epoch: number, from: number): AsyncIterable<MicroBatch[]>;
  /** The batches of a split; those of the shard, in their order. */
  evaluation(split: "valid" | "test", batch: number): AsyncIterable<EvaluationBatch>;
  /** The images of a split with their annotations, without pixels. */
  images(split: "train" | "valid"): readonly DatasetImage[];
  /** A sentence for each image that did not decode and was left out so far. */
  leftOut(): readonly string[];
  /** Ends the threads that read images. */
  close(): Promise<void>;
}

/** What the data of a run hold, as a text that is equal where they are. */
export function dataContents({ contents, classNames, stepsPerEpoch, testImages, modules = {} }: TrainData): string {
  // Modules may have other paths on other machines.
  return JSON.stringify({ ...contents, classNames, stepsPerEpoch, testImages, modules: Object.values(modules) });
}

/** What the loader must know of the run. */
export interface DataSizes {
  seed: number;
  /** Size of the training images: the largest of multi-scale training. */
  size: Shape;
  evaluationSize: Shape;
  /** Whether the model predicts masks, and its data must have outlines; default false. */
  masks?: boolean;
  /** Detections that the model gives of an image; images with more objects are named if it is given. */
  detections?: number;
  /** Which part of each step and of each evaluation is wanted; default: all. */
  shard?: Shard;
}

/** Opens the data of a run; tests bring their own. */
export type OpenTrainData = (settings: ReadySettings, sizes: DataSizes) => Promise<TrainData>;

/** Micro-batches of a step, in all processes. */
export function microBatchesOf({
  gradAccumSteps,
  processes,
}: Pick<ReadySettings, "gradAccumSteps" | "processes">): number {
  return gradAccumSteps * processes;
}

/** Images of a step, in all processes. */
export function effectiveBatch(settings: Pick<ReadySettings, "batchSize" | "gradAccumSteps" | "processes">): number {
  return settings.batchSize * microBatchesOf(settings);
}
