// Weights files: safetensors with the Python package's keys, and in the metadata what is needed to use them.
import { extname } from "node:path";
import { loadSafetensors, saveSafetensors, type Tensor } from "@rfdetr/torch";
import { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { resolveConfig } from "../model/variants.js";
import { replaceFile } from "./atomic.js";
import { RfdetrError } from "./errors.js";

export interface WeightsInfo {
  classNames: string[];
  config: ModelConfig;
  /** Anything else worth keeping with them: epoch, AP, notes. */
  extra?: Record<string, string>;
}

/** Writes weights so that the file is whole or the old one. @throws RfdetrError `ERR_RUN_DIRECTORY` */
export function saveWeights(path: string, tensors: Map<string, Tensor>, { classNames, config, extra }: WeightsInfo): void {
  const metadata = { ...extra, format: "rfdetr", variant: config.variant, class_names: JSON.stringify(classNames), model_config: JSON.stringify(config) };
  replaceFile(path, (temporary) => saveSafetensors(temporary, tensors, metadata));
}

export interface LoadedWeights extends WeightsInfo {
  tensors: Map<string, Tensor>;
}

/** Reads weights that this program wrote. The tensors live until disposed. @throws RfdetrError `ERR_CHECKPOINT` naming the file. */
export function readWeights(path: string): LoadedWeights {
  if (extname(path) !== ".safetensors")
    throw new RfdetrError("ERR_CHECKPOINT", `Expected a .safetensors file but received ${path}: turn checkpoints of the Python package into one with rfdetr convert`);
  let file: ReturnType<typeof loadSafetensors>;
  try {
    file = loadSafetensors(path);
  } catch (error) {
    throw new RfdetrError("ERR_CHECKPOINT", `The weights ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const { variant, class_names: classNames, model_config: config, ...extra } = file.metadata;
  if (variant === undefined || classNames === undefined)
    throw new RfdetrError("ERR_CHECKPOINT", `Expected variant and class names in the metadata of ${path} but they are missing: write the file with rfdetr train or rfdetr convert`);
  const { variant: _, ...overrides } = config === undefined ? ({} as Partial<ModelConfig>) : (JSON.parse(config) as ModelConfig);
  const names = JSON.parse(classNames) as string[];
  return { tensors: file.tensors, classNames: names, config: resolveConfig(variant, { numClasses: names.length, ...overrides }), extra };
}

/** Builds the model of a weights file, in evaluation mode. @throws RfdetrError `ERR_CHECKPOINT` */
export function loadModel(path: string): { model: RFDETRModel; classNames: string[]; config: ModelConfig } {
  const { tensors, classNames, config } = readWeights(path);
  const model = new RFDETRModel(config);
  try {
    model.loadStateDict(tensors);
  } catch (error) {
    throw new RfdetrError("ERR_CHECKPOINT", `The weights ${path} do not fit ${config.variant}: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
  }
  model.eval();
  return { model, classNames, config };
}
