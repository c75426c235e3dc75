// Trainings that a detector starts.
import type { GivenData } from "../data/custom/data-path.js";
import { isExported } from "../onnx/exported-model.js";
import { startReported } from "../report/reported-run.js";
import { readRankPlace } from "../run/launch/rank-place.js";
import type { TrainRun } from "../run/train-run.js";
import { resolveSettings, settingNamed } from "../settings/resolve.js";
import { settings, type TrainOptions } from "../settings/settings.js";
import { CheckpointError, UsageError } from "../support/errors.js";
import { snakeCase } from "../support/names.js";
import { abortSignal, checkOptions, countOrZero, filePath, plainObject } from "../support/options.js";
import { suggest } from "../support/suggest.js";
import { type CallbacksModule, callbacksGiven, moduleFile } from "./callbacks-option.js";
import { anyData, dataGiven } from "./data-option.js";
import type { DetectorModel } from "./detector-model.js";

/** What a training is started with: its settings, and what belongs to the call. */
export interface DetectorTrainOptions extends Omit<TrainOptions, "callbacks"> {
  /**
   * Folder of the dataset, or a YOLO data file; another name of `datasetDir`. Or a custom dataset, which is read
   * once and kept in a folder beside that of the run. Or several datasets with their shares.
   */
  data?: string | GivenData;
  /** Folder of the run; another name of `outputDir`, as the command has it. */
  out?: string;
  /** Stops the run, as `stop()` does. */
  signal?: AbortSignal;
  /** How often all processes start anew from the last checkpoint when one of them is lost; default 0. */
  maxRestarts?: number;
  /** Module of callbacks, by its path or URL: see `defineCallbacks`. */
  callbacks?: CallbacksModule | null;
}

/** What `train` takes beside settings. */
const trainCallOptions = {
  data: anyData,
  out: filePath,
  signal: abortSignal,
  maxRestarts: countOrZero,
  callbacks: moduleFile,
};

/**
 * Checks what belongs to the call; the settings are checked where they are resolved.
 * @param model of the detector that trains
 * @throws UsageError for a value of the wrong kind, two names of one option, another model, or a name that is probably
 * meant for an option of the call
 */
function checkTrainOptions(options: DetectorTrainOptions, model: string): void {
  const { data, out, signal, maxRestarts, callbacks, ...others } = plainObject<DetectorTrainOptions>("train", options);
  checkOptions("train", { data, out, signal, maxRestarts, callbacks }, trainCallOptions);
  if (others.model !== undefined && others.model !== model)
    throw new UsageError(
      `Expected no other model than the detector's, ${model}, for train but received ${others.model}: make a detector of it with RFDETR.create`,
    );
  for (const [key, value] of Object.entries(others)) {
    const name = snakeCase(key);
    if (value === undefined) continue;
    if (name === "dataset_dir" && data !== undefined)
      throw new UsageError(`Expected data once for train but received data and ${key}: leave one out`);
    if (name === "output_dir" && out !== undefined)
      throw new UsageError(`Expected the folder of the run once for train but received out and ${key}: leave one out`);
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

/**
 * Starts a training in a worker thread, or in several processes; afterwards the detector uses its weights.
 * @param model the model of the detector
 * @throws ConfigError, UsageError, CheckpointError at once for what cannot be
 */
export function startTraining(model: DetectorModel, options: DetectorTrainOptions): TrainRun {
  checkTrainOptions(options, model.name);
  model.checkUse();
  if (model.weights !== null && isExported(model.weights))
    throw new CheckpointError(
      `Expected weights that can be trained but ${model.weights} is an exported file: load the weights that it was made of`,
    );
  const { data, out, signal, maxRestarts, callbacks, ...given } = options;
  const launched = readRankPlace(process.env, 1, given.processes);
  const { numberFormat } = model.options;
  const isOpen = [given.precision, given.amp, given.ampDtype].every((each) => each === undefined);
  // What the training asks for comes before what the detector was made with.
  const precision = isOpen ? model.options.precision : undefined;
  const config = resolveSettings({
    model: model.name,
    weights: model.weights,
    classNumbering: model.reading().classNumbering,
    ...(typeof precision === "boolean" ? { amp: precision } : precision === undefined ? {} : { precision }),
    ...(numberFormat === undefined ? {} : { numberFormat }),
    ...(model.options.device === undefined ? {} : { device: model.options.device }),
    ...(data === undefined ? {} : { datasetDir: typeof data === "string" ? data : "custom dataset" }),
    ...(out === undefined ? {} : { outputDir: out }),
    ...(launched === null ? {} : { processes: launched.place.size }),
    ...callbacksGiven(callbacks),
    ...given,
  });
  return startReported(config, {
    ...dataGiven(data),
    ...(signal === undefined ? {} : { signal }),
    ...(maxRestarts === undefined ? {} : { maxRestarts }),
    ended: ({ best, last }) => {
      const weights = best ?? last;
      if (weights !== null) model.use(weights);
    },
  });
}
