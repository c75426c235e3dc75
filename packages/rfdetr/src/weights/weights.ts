// Weights files: safetensors with the Python package's keys, and in the metadata what is needed to use them.
import { extname } from "node:path";
import { loadSafetensors, noGrad, saveSafetensors, scope, type Tensor } from "@rfdetr/torch";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { resolveModel } from "../model/variants.js";
import { replaceFile } from "../support/atomic.js";
import { CheckpointError, RfdetrError } from "../support/errors.js";
import { reasonOf } from "../support/system-error.js";
import { describeFit, type FitReport, fitWeights } from "./fit-weights.js";
import { readPythonCheckpoint } from "./python-checkpoint.js";

/** What a weights file holds besides its tensors. */
export interface WeightsInfo {
  classNames: string[];
  config: ModelConfig;
  /** Anything else worth keeping with them: epoch, AP, notes. */
  extra?: Record<string, string>;
}

/**
 * Writes weights so that the file is whole or the old one.
 * @throws RunDirectoryError
 * @example
 * import { RFDETRModel, resolveModel } from "rfdetr/model";
 * import { saveWeights } from "rfdetr/weights";
 * const config = resolveModel("nano", { numClasses: 1 });
 * saveWeights("fresh.safetensors", new RFDETRModel(config).stateDict(), { classNames: ["bird"], config });
 */
export function saveWeights(path: string, tensors: Map<string, Tensor>, { classNames, config, extra }: WeightsInfo): void {
  const metadata = {
    ...extra,
    format: "rfdetr",
    variant: config.variant,
    class_names: JSON.stringify(classNames),
    model_config: JSON.stringify(config),
  };
  replaceFile(path, (temporary) => saveSafetensors(temporary, tensors, metadata));
}

/** A weights file that was read. */
export interface LoadedWeights extends WeightsInfo {
  tensors: Map<string, Tensor>;
}

/** File name extensions of the Python package's checkpoints. */
const pythonFiles = new Set([".pth", ".pt", ".ckpt"]);

/** Reads weights that this program or the Python package wrote. The tensors live until disposed. @throws CheckpointError naming the file. */
export function readWeights(path: string): LoadedWeights {
  if (pythonFiles.has(extname(path).toLowerCase())) {
    try {
      return readPythonCheckpoint(path);
    } catch (error) {
      if (error instanceof RfdetrError) throw error;
      throw new CheckpointError(`The weights ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
    }
  }
  if (extname(path) !== ".safetensors")
    throw new CheckpointError(`Expected a .safetensors, .pth, .pt or .ckpt file for the weights but received ${path}`);
  let file: ReturnType<typeof loadSafetensors>;
  try {
    file = loadSafetensors(path);
  } catch (error) {
    throw new CheckpointError(`The weights ${path} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const { variant, class_names: classNames, model_config: config, ...extra } = file.metadata;
  if (variant === undefined || classNames === undefined)
    throw new CheckpointError(
      `Expected variant and class names in the metadata of ${path} but they are missing: write the file with rfdetr train or rfdetr convert`,
    );
  const { variant: _, ...overrides } = config === undefined ? ({} as Partial<ModelConfig>) : (JSON.parse(config) as ModelConfig);
  const names = JSON.parse(classNames) as string[];
  return { tensors: file.tensors, classNames: names, config: resolveModel(variant, { numClasses: names.length, ...overrides }), extra };
}

/**
 * Holds weights against the model that they are said to be of.
 * @returns lines about keys that are missing or of no use
 * @throws CheckpointError when they do not fit it
 */
export function checkComplete(path: string, tensors: Map<string, Tensor>, config: ModelConfig): string[] {
  const model = new RFDETRModel(config);
  const own = model.stateDict();
  try {
    return scope(() => describeFit(fitWeights(path, { tensors, config }, { tensors: own, config }).report));
  } finally {
    for (const tensor of own.values()) tensor.dispose();
  }
}

/**
 * Builds the model of a weights file, in evaluation mode.
 * @throws CheckpointError
 * @example
 * import { loadModel } from "rfdetr/weights";
 * const { model, classNames } = loadModel("runs/nano/weights/best.safetensors");
 */
export function loadModel(path: string): { model: RFDETRModel; classNames: string[]; config: ModelConfig } {
  const { tensors, classNames, config } = readWeights(path);
  const model = new RFDETRModel(config);
  try {
    model.loadStateDict(tensors);
  } catch (error) {
    throw new CheckpointError(`The weights ${path} do not fit ${config.variant}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
  model.eval();
  return { model, classNames, config };
}

/**
 * Starts a model from weights trained on other classes, with more queries or at another resolution.
 * @returns what was taken, and lines about it for the user
 * @throws CheckpointError when the weights are those of another architecture; the model is unchanged then.
 */
export function loadInto(model: RFDETRModel, path: string): { report: FitReport; lines: string[] } {
  const { tensors, classNames, config } = readWeights(path);
  try {
    return noGrad(() =>
      scope(() => {
        const { tensors: fitted, report } = fitWeights(path, { tensors, config }, { tensors: model.stateDict(), config: model.config });
        model.loadStateDict(fitted, { strict: false });
        const wanted = model.config.numClasses;
        const classes =
          classNames.length === wanted
            ? []
            : [`The weights know ${classNames.length} classes and the data has ${wanted}: the class heads start from the rows that fit`];
        return { report, lines: [...classes, ...describeFit(report)] };
      }),
    );
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
}
