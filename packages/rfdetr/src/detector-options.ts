// What the calls of a detector take, with what their options accept.
import { fileURLToPath } from "node:url";
import type { Split } from "./data/index.js";
import type { ExportPrecision } from "./export/export-precisions.js";
import { settingNamed } from "./settings/resolve.js";
import { settings, type TrainOptions } from "./settings/settings.js";
import { UsageError } from "./support/errors.js";
import { snakeCase } from "./support/names.js";
import {
  abortSignal,
  callback,
  checkOptions,
  count,
  countOrZero,
  type OptionKind,
  oneOf,
  plainObject,
  positive,
  share,
  sides,
  text,
  texts,
} from "./support/options.js";
import { suggest } from "./support/suggest.js";

/** What a detector is made with. */
export interface DetectorOptions {
  /**
   * Weights file, the folder of a run, or the name of published weights such as `nano`: what is detected with, and what
   * training starts from. Default: `coco`, what is published for the model; a model without published weights has
   * `none`, random weights.
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

const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const resizeOptions = { antialias: oneOf(true, false) };
/** A share for all, or one for each name. */
const shares: OptionKind = {
  takes: "number from 0 to 1, or an object of those by class name,",
  fits: (value) => share.fits(value) || (isRecord(value) && Object.values(value).every(share.fits)),
};
/** The side of a tile, or what {@link Tiling} has. */
const tiling: OptionKind = {
  takes: "side of a tile in pixels, or { size, overlap, iou } with an overlap below the size,",
  fits(value) {
    if (!isRecord(value)) return count.fits(value);
    const { size, overlap, iou, ...others } = value as Record<string, unknown>;
    const sidesOf = (given: unknown): number[] => [given, given].flat().slice(0, 2) as number[];
    const zeroOrSides =
      overlap === undefined ||
      countOrZero.fits(overlap) ||
      (Array.isArray(overlap) && overlap.length === 2 && overlap.every(countOrZero.fits));
    if (!(count.fits(size) || sides.fits(size)) || !zeroOrSides || Object.keys(others).length > 0) return false;
    const [[width, height], [x, y]] = [sidesOf(size), sidesOf(overlap ?? 0)];
    return (iou === undefined || share.fits(iou)) && x < width && y < height;
  },
};
export const predictOptions = {
  tiles: tiling,
  threshold: shares,
  classes: texts,
  maxDetections: count,
  transfer: oneOf(true, false),
  signal: abortSignal,
  autoOrient: oneOf(true, false),
  ...resizeOptions,
};
/** A function, or the name of a usual one. */
const handling: OptionKind = {
  takes: '"throw", "return" or a function',
  fits: (value) => value === "throw" || value === "return" || callback.fits(value),
};
export const predictManyOptions = { ...predictOptions, batch: count, onError: handling };
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
  report: oneOf(true, false),
  progress: callback,
};
const moduleFile: OptionKind = {
  takes: "path or file: URL of a module",
  fits: (value) => value === null || text.fits(value) || (value instanceof URL && value.protocol === "file:"),
};
/** What `train` takes beside settings. */
const trainCallOptions = { data: text, signal: abortSignal, maxRestarts: countOrZero, callbacks: moduleFile };
export const resumeOptions = {
  data: text,
  epochs: count,
  maxSteps: count,
  lr: positive,
  lrEncoder: positive,
  optimizerState: oneOf("float32", "8bit"),
  processes: count,
  maxRestarts: countOrZero,
  callbacks: moduleFile,
  signal: abortSignal,
};

/** What a training is started with: its settings, and what belongs to the call. */
export interface DetectorTrainOptions extends Omit<TrainOptions, "callbacks"> {
  /** Folder of the dataset, or a YOLO data file; another name of `datasetDir`. */
  data?: string;
  /** Stops the run, as `stop()` does. */
  signal?: AbortSignal;
  /** How often all processes start anew from the last checkpoint when one of them is lost; default 0. */
  maxRestarts?: number;
  /** Module of callbacks, by its path or URL: see {@link defineCallbacks}. */
  callbacks?: string | URL | null;
}

/** The setting `callbacks`, where a caller gave it. */
export const callbacksGiven = (callbacks: string | URL | null | undefined): { callbacks?: string | null } =>
  callbacks === undefined ? {} : { callbacks: callbacks instanceof URL ? fileURLToPath(callbacks) : callbacks };

/**
 * Checks what belongs to the call; the settings are checked where they are resolved.
 * @param model of the detector that trains
 * @throws UsageError for a value of the wrong kind, two names of one option, another model, or a name that is probably
 * meant for an option of the call
 */
export function checkTrainOptions(options: DetectorTrainOptions, model: string): void {
  const { data, signal, maxRestarts, callbacks, ...others } = plainObject<DetectorTrainOptions>("train", options);
  checkOptions("train", { data, signal, maxRestarts, callbacks }, trainCallOptions);
  if (others.model !== undefined && others.model !== model)
    throw new UsageError(
      `Expected no other model than the detector's, ${model}, for train but received ${others.model}: make a detector of it with RFDETR.create`,
    );
  for (const [key, value] of Object.entries(others)) {
    const name = snakeCase(key);
    if (value === undefined) continue;
    if (name === "dataset_dir" && data !== undefined)
      throw new UsageError(`Expected data once for train but received data and ${key}: leave one out`);
    if (name === "resume" && value !== null)
      throw new UsageError("Expected settings of a new run for train but received resume", {
        hint: "Continue a run with RFDETR.resume(folder)",
      });
    if (Object.hasOwn(settings, name) || settingNamed(name) !== undefined) continue;
    const meant = suggest(key, Object.keys(trainCallOptions));
    if (meant !== undefined)
      throw new UsageError(`Expected an option of train but received ${key}: did you mean ${meant}?`);
  }
}

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
  /** Whether to measure every precision on the same images, and to write the table beside the file. */
  report?: boolean;
  /** Called with what is done now, and how much of it. */
  progress?: (
    doing: "tracing" | "calibrating" | "writing" | "proving" | "comparing",
    done: number,
    total: number,
  ) => void;
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
  /** Another module of callbacks, by its path or URL, or null for none. */
  callbacks?: string | URL | null;
  /** Processes of this machine to train with; default: as many as the run was begun with. */
  processes?: number;
  /** How often all processes start anew from the last checkpoint when one of them is lost; default 0. */
  maxRestarts?: number;
  /** Stops the run, as `stop()` does. */
  signal?: AbortSignal;
}
