// What the calls of a detector take, with what their options accept.
import type { Split } from "./data/index.js";
import type { ExportPrecision } from "./export/export-precisions.js";
import {
  abortSignal,
  callback,
  count,
  countOrZero,
  oneOf,
  positive,
  share,
  sides,
  text,
  texts,
} from "./support/options.js";

/** What a detector is made with. */
export interface DetectorOptions {
  /**
   * Weights file, the folder of a run, or the name of published weights such as `nano`: what is detected with, and what
   * training starts from. Without one the model has random weights.
   */
  weights?: string;
  /** The label of the first class in a checkpoint of the Python package; `auto` (the default) follows the file. */
  classNumbering?: "auto" | "from0" | "from1";
  /** Is called with what is unusual about the weights. Default: a warning of the process. */
  warn?: (message: string) => void;
  /** `auto` (the default) follows the hardware; `true` means `auto`, `false` means `32-true`. */
  precision?: "auto" | "32-true" | "tf32" | "bf16-mixed" | "16-mixed" | boolean;
  /** `auto`, `cpu` or `cuda:N`. */
  device?: string;
  /** Names of the classes by index, for an exported file of another program, which has none. */
  classNames?: readonly string[];
}

/** What the options of `create` accept. */
export const detectorOptions = {
  weights: text,
  classNumbering: oneOf("auto", "from0", "from1"),
  warn: callback,
  precision: oneOf("auto", "32-true", "tf32", "bf16-mixed", "16-mixed", true, false),
  device: text,
  classNames: texts,
};

const resizeOptions = { antialias: oneOf(true, false) };
export const predictOptions = {
  threshold: share,
  signal: abortSignal,
  autoOrient: oneOf(true, false),
  ...resizeOptions,
};
export const predictManyOptions = { ...predictOptions, batch: count, onError: callback };
export const evaluateOptions = {
  data: text,
  split: oneOf("train", "valid", "test"),
  batch: count,
  autoOrient: oneOf(true, false),
  ...resizeOptions,
};
export const exportOptions = {
  out: text,
  precision: oneOf("fp32", "fp16", "bf16", "int8"),
  batch: { takes: 'positive integer or "dynamic"', fits: (value: unknown) => value === "dynamic" || count.fits(value) },
  resolution: sides,
  gridSample: oneOf(true, false),
  data: text,
  split: oneOf("train", "valid", "test"),
  progress: callback,
};
export const resumeOptions = {
  data: text,
  epochs: count,
  maxSteps: count,
  lr: positive,
  lrEncoder: positive,
  optimizerState: oneOf("float32", "8bit"),
  processes: count,
  maxRestarts: countOrZero,
  signal: abortSignal,
};

/** How a detector is exported. */
export interface DetectorExportOptions {
  /** New .onnx file; default: beside the weights, with their name. */
  out?: string;
  /** Default `fp32`. */
  precision?: ExportPrecision;
  /** Images in a batch, default 1; `dynamic` leaves the number open. */
  batch?: number | "dynamic";
  /** Height and width of the images in pixels; default: the square that the weights were trained on. */
  resolution?: readonly [height: number, width: number];
  /** Whether the file may sample with GridSample (default) or does it by gathers, for runtimes without it. */
  gridSample?: boolean;
  /** Dataset whose images prove the file; without one, drawn images do. */
  data?: string;
  /** Default `valid`. */
  split?: Split;
  /** Called with what is done now, and how much of it. */
  progress?: (doing: "tracing" | "calibrating" | "writing" | "proving", done: number, total: number) => void;
}

/** What may change when a run is continued. */
export interface ResumeOptions {
  /** New place of the run's data, which may have changed; its classes may not. */
  data?: string;
  /** More epochs than the run had. */
  epochs?: number;
  maxSteps?: number;
  lr?: number;
  lrEncoder?: number;
  /** Keeps the optimizer's moments otherwise than before; those of the checkpoint are converted. */
  optimizerState?: "float32" | "8bit";
  /** Processes of this machine to train with; default: as many as the run was begun with. */
  processes?: number;
  /** How often all processes start anew from the last checkpoint when one of them is lost; default 0. */
  maxRestarts?: number;
  /** Stops the run, as `stop()` does. */
  signal?: AbortSignal;
}
