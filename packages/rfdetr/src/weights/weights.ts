// Weights files: safetensors with the keys of the Python package, and variant, sizes and class names in the metadata.
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

/** What the metadata of a weights file holds. */
export interface WeightsInfo {
  classNames: string[];
  config: ModelConfig;
  /** Anything else worth keeping with them: epoch, AP, notes. */
  extra?: Record<string, string>;
}

/**
 * Writes weights; the file is replaced as a whole or not at all.
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
  { classNames, config, extra }: WeightsInfo,
): void {
  const metadata = {
    ...extra,
    format: "rfdetr",
    variant: config.variant,
    class_names: JSON.stringify(classNames),
    model_config: JSON.stringify(config),
  };
  replaceFile(path, (temporary) => saveSafetensors(temporary, tensors, metadata));
}

/** Weights with their metadata. */
export interface LoadedWeights extends WeightsInfo {
  tensors: Map<string, Tensor>;
}

/** File name extensions of the Python package's checkpoints. */
const pythonFiles = new Set([".pth", ".pt", ".ckpt"]);

/**
 * Reads weights of this program or of the Python package. The tensors live until disposed.
 * @throws CheckpointError naming the file
 */
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
  const { variant: _, ...overrides } =
    config === undefined ? ({} as Partial<ModelConfig>) : (JSON.parse(config) as ModelConfig);
  const names = JSON.parse(classNames) as string[];
  return {
    tensors: file.tensors,
    classNames: names,
    config: resolveModel(variant, { numClasses: names.length, ...overrides }),
    extra,
  };
}

/**
 * Checks that weights fit the model that their metadata names.
 * @returns lines about keys that are missing or unused
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
 * Builds the model of a weights file and loads the weights, in evaluation mode.
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
 * Loads weights that were trained on other classes, with more queries or at another resolution.
 * @returns what became of each tensor, and lines about it for the user
 * @throws CheckpointError if the weights are those of another architecture; the model is unchanged then
 */
export function loadInto(model: RFDETRModel, path: string): { report: FitReport; lines: string[] } {
  const { tensors, classNames, config } = readWeights(path);
  try {
    return noGrad(() =>
      scope(() => {
        const { tensors: fitted, report } = fitWeights(
          path,
          { tensors, config },
          { tensors: model.stateDict(), config: model.config },
        );
        model.loadStateDict(fitted, { strict: false });
        const wanted = model.config.numClasses;
        const classes =
          classNames.length === wanted
            ? []
            : [
                `The weights know ${classNames.length} classes and the data has ${wanted}: ` +
                  "the class heads start from the rows that fit",
              ];
        return { report, lines: [...classes, ...describeFit(report)] };
      }),
    );
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
}
