// Weights files: safetensors with the keys of the Python package, and variant, sizes and class names in the metadata.
import { extname } from "node:path";
import { noGrad, saveSafetensors, scope, type Tensor } from "@rfdetr/torch";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { CheckpointError, RfdetrError } from "../support/errors.js";
import { type PutFile, replaceFile } from "../support/files/atomic.js";
import { reasonOf } from "../support/files/system-error.js";
import { callback, checkArgument, checkOptions, filePath, type OptionKinds, oneOf } from "../support/options.js";
import { type RecordedThresholds, recordedAP50 } from "../support/recorded-thresholds.js";
import { type ClassRow, describeRows } from "./classes/class-rows.js";
import { checkFinite } from "./finite.js";
import { describeFit, type FitReport, fitWeights, some } from "./fit-weights.js";
import { describeCheckpoint, readPythonCheckpoint } from "./python/python-checkpoint.js";
import { describeOwnWeights, readOwnWeights } from "./read-safetensors.js";
import { stateShapes } from "./state-shapes.js";
import { type TrainedPrecision, trainedAutocast } from "./trained-precision.js";
import { trainingEntries } from "./training-metadata.js";
import type { LoadedWeights, ReadOptions, WeightsInfo } from "./types.js";

/**
 * Writes weights; the file is replaced as a whole or not at all.
 * @param put puts the file under its name; default: in the place of one that is there
 * @throws RunDirectoryError
 * @example
 * import { RFDETRModel, resolveModel } from "rfdetr/model";
 * import { saveWeights } from "rfdetr/weights";
 * const config = resolveModel("nano", { numClasses: 1 });
 * saveWeights("fresh.safetensors", new RFDETRModel(config).stateDict(), { classNames: ["bird"], config });
 */
export function saveWeights(
  path: string,
  tensors: Map<string, Tensor>,
  info: WeightsInfo,
  put: PutFile = replaceFile,
): void {
  const metadata = {
    ...trainingEntries(info),
    format: "rfdetr",
    variant: info.config.variant,
    class_names: JSON.stringify(info.classNames),
    model_config: JSON.stringify(info.config),
  };
  put(path, (temporary) => saveSafetensors(temporary, tensors, metadata));
}

/** File name extensions of the Python package's checkpoints. */
const pythonFiles = new Set([".pth", ".pt", ".ckpt"]);

/**
 * Whether a file is a checkpoint of the Python package, by its name.
 * @throws CheckpointError if it is no weights file
 */
export function isPython(path: string): boolean {
  const extension = extname(path).toLowerCase();
  if (extension === ".onnx")
    throw new CheckpointError(
      `Expected weights but received ${path}, an exported file, which can only detect and be evaluated: give the weights that it was made of`,
    );
  if (extension !== ".safetensors" && !pythonFiles.has(extension))
    throw new CheckpointError(`Expected a .safetensors, .pth, .pt or .ckpt file for the weights but received ${path}`);
  return extension !== ".safetensors";
}

/** Gives the error of a reader the name of the file. */
function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RfdetrError) throw error;
    throw new CheckpointError(`The weights ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

/** Model and training of a weights file, without its tensors. @throws CheckpointError naming the file */
function describeWeights(path: string): Pick<LoadedWeights, "config" | "trained" | "thresholds"> {
  return named(path, () => (isPython(path) ? describeCheckpoint(path) : describeOwnWeights(path)));
}

/**
 * Reads what model a weights file is of, without its tensors.
 * @throws CheckpointError naming the file
 */
export function readModelConfig(path: string): ModelConfig {
  return describeWeights(path).config;
}

/**
 * Reads which precision weights were trained in, without their tensors.
 * @throws CheckpointError naming the file
 */
export function readTrainedPrecision(path: string): TrainedPrecision {
  return describeWeights(path).trained;
}

/**
 * Reads the thresholds that the training of weights recorded, without their tensors; null where there are none.
 * @throws CheckpointError naming the file
 */
export function readRecordedThresholds(path: string): RecordedThresholds | null {
  return describeWeights(path).thresholds;
}

/**
 * Reads weights of this program or of the Python package. The tensors live until disposed. Nothing is read but tensors
 * of the model that the file describes, in its shapes.
 * @throws CheckpointError naming the file, when it cannot be read or holds NaN or infinity
 */
export function readWeights(path: string, options: ReadOptions = {}): LoadedWeights {
  checkArgument("weights", path, filePath);
  checkOptions("readWeights", options, {
    classNumbering: oneOf("auto", "from0", "from1"),
    warn: callback,
  } satisfies OptionKinds<ReadOptions>);
  const read = isPython(path) ? readPythonCheckpoint : readOwnWeights;
  const warn = options.warn ?? ((message: string) => process.emitWarning(message));
  const weights = named(path, () => read(path, { classNumbering: options.classNumbering ?? "auto", warn }));
  try {
    checkFinite(path, weights.tensors);
  } catch (error) {
    for (const tensor of weights.tensors.values()) tensor.dispose();
    throw error;
  }
  return weights;
}

/**
 * Checks that no tensor of the model is missing in weights, before the model takes memory.
 * @throws CheckpointError
 */
export function checkComplete(path: string, { tensors, config }: LoadedWeights): void {
  const missing = [...stateShapes(config).keys()].filter((key) => !tensors.has(key));
  if (missing.length > 0)
    throw new CheckpointError(
      `Expected all tensors of ${config.variant} in ${path} but ${missing.length} are missing: ${some(missing)}`,
    );
}

/**
 * Builds the model of a weights file and loads the weights, in evaluation mode.
 * @throws CheckpointError
 * @example
 * import { loadModel } from "rfdetr/weights";
 * const { model, classNames } = loadModel("runs/nano/weights/best.safetensors");
 */
export function loadModel(
  path: string,
  options: ReadOptions = {},
): { model: RFDETRModel; AP50: number | null } & Pick<
  LoadedWeights,
  "classNames" | "config" | "trained" | "thresholds"
> {
  const weights = readWeights(path, options);
  const { tensors, classNames, config, trained, thresholds } = weights;
  try {
    checkComplete(path, weights);
    const model = new RFDETRModel(config);
    model.loadStateDict(tensors);
    model.eval();
    // Refuses rules of a damaged file.
    named(path, () => trainedAutocast(model, trained, "32-true"));
    return { model, classNames, config, trained, thresholds, AP50: recordedAP50(weights.extra ?? {}) };
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
}

/**
 * Loads weights that were trained on other classes, with more queries or at another resolution.
 * @param options `classNames`: those that the model is to learn, in order
 * @returns what became of each tensor, where each class starts from, and lines about both for the user
 * @throws CheckpointError if the weights are those of another architecture; the model is unchanged then
 */
export function loadInto(
  model: RFDETRModel,
  path: string,
  options: ReadOptions & { classNames: readonly string[] },
): { report: FitReport; classRows: ClassRow[]; lines: string[] } {
  const { classNames, ...reading } = options;
  const stored = readWeights(path, reading);
  try {
    return noGrad(() =>
      scope(() => {
        const own = { tensors: model.stateDict(), config: model.config, classNames };
        const { tensors, report, classRows } = fitWeights(path, stored, own);
        model.loadStateDict(tensors, { strict: false });
        const names = { stored: stored.classNames, own: classNames };
        return { report, classRows, lines: [describeRows(classRows, names), ...describeFit(report)] };
      }),
    );
  } finally {
    for (const tensor of stored.tensors.values()) tensor.dispose();
  }
}
