// What a weights file holds, and how it is read.
import type { Tensor } from "@rfdetr/torch";
import type { ModelConfig } from "../model/types.js";
import type { RecordedThresholds } from "../support/recorded-thresholds.js";
import type { ClassNumbering } from "./classes/class-numbering.js";
import type { TrainedPrecision } from "./trained-precision.js";

/** What the metadata of a weights file holds. */
export interface WeightsInfo {
  classNames: string[];
  config: ModelConfig;
  /** The precision that they were trained in; absent where nobody knows it. */
  trained?: TrainedPrecision;
  /** Anything else worth keeping with them: epoch, AP, notes. */
  extra?: Record<string, string>;
}

/** Weights with their metadata. */
export interface LoadedWeights extends WeightsInfo {
  trained: TrainedPrecision;
  /** The thresholds that the evaluation of their training found best; null where the file has none. */
  thresholds: RecordedThresholds | null;
  /** Those that the model has, each of its shape. */
  tensors: Map<string, Tensor>;
  /** Keys of the file that the model does not use. */
  leftOver: string[];
}

/** How weights are read. */
export interface ReadOptions {
  /**
   * The label of the first class in a checkpoint of the Python package: versions up to 1.9.1 counted the classes of
   * Roboflow's COCO format from 1. Default: `auto`, what the file suggests.
   */
  classNumbering?: ClassNumbering | undefined;
  /** Is called with what a user should know of the file. Default: a warning of the process. */
  warn?: (message: string) => void;
}
