// Writes weights as a checkpoint that the Python package loads (`RFDETR.from_checkpoint`, `pretrain_weights`).

import { type Picklable, savePth, type Tensor } from "@rfdetr/torch";
import type { ModelConfig } from "../../model/types.js";
import { resolveModel } from "../../model/variants.js";
import { type PutFile, replaceFile } from "../../support/files/atomic.js";
import { trainingEntries } from "../training-metadata.js";
import type { WeightsInfo } from "../types.js";

/** The layout is that of this version of the package. */
const packageVersion = "1.11.2";

/** The key of what a run writes into the metadata of its weights. The package reads no key of this name. */
export const metadataKey = "rfdetr_ts_metadata";

/** Variants that the package has no class for: small ones, to try things out on a CPU. */
const unknownVariants = ["demo", "tiny", "seg-demo", "seg-tiny"];

/** Whether the package has a class for the variant. */
export const packageHas = (variant: string): boolean => !unknownVariants.includes(variant);

/** `nano` → `RFDETRNano`, `large-deprecated` → `RFDETRLargeDeprecated`, `2xlarge` → `RFDETR2XLarge`. @internal */
export function classOfVariant(variant: string): string {
  const words = variant.split("-").map((word) => word.replace(/^2?xl|^[a-z]/, (start) => start.toUpperCase()));
  return `RFDETR${words.join("")}`;
}

/** The fields of the package's ModelConfig that the weights determine; all others keep the defaults of its class. */
function pythonModelConfig(config: ModelConfig): Record<string, Picklable> {
  return {
    out_feature_indexes: config.outFeatureIndexes,
    dec_layers: config.decLayers,
    projector_scale: config.projectorScale,
    hidden_dim: config.hiddenDim,
    patch_size: config.patchSize,
    num_windows: config.numWindows,
    sa_nheads: config.saNheads,
    ca_nheads: config.caNheads,
    dec_n_points: config.decNPoints,
    num_queries: config.numQueries,
    num_select: config.numSelect,
    num_classes: config.numClasses,
    resolution: squareOf(config),
    group_detr: config.groupDetr,
    positional_encoding_size: config.positionalEncodingSize,
    ...(config.segmentationHead ? { segmentation_head: true, mask_downsample_ratio: config.maskDownsampleRatio } : {}),
  };
}

/** The side of the images that the package is told: it trains squares only, so a rectangle becomes the variant's. */
export function squareOf({ resolution, variant }: ModelConfig): number {
  return typeof resolution === "number" ? resolution : resolveModel(variant).resolution;
}

/**
 * Writes `model`, `args`, `model_name`, `model_config`, `rfdetr_version` and `epoch`, as in the package's own best
 * weights, and the metadata of the training under a key of our own. The file is replaced as a whole or not at all.
 * @param put puts the file under its name; default: in the place of one that is there
 * @throws RunDirectoryError
 */
export function savePythonCheckpoint(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  { classNames, config, ...training }: WeightsInfo,
  put: PutFile = replaceFile,
): void {
  const epoch = Number(training.extra?.epoch);
  const content: Picklable = {
    model: tensors,
    args: {
      class_names: classNames,
      num_classes: config.numClasses,
      num_queries: config.numQueries,
      group_detr: config.groupDetr,
      resolution: squareOf(config),
      ...(config.segmentationHead ? { segmentation_head: true } : {}),
    },
    model_name: classOfVariant(config.variant),
    model_config: pythonModelConfig(config),
    rfdetr_version: packageVersion,
    ...(Number.isInteger(epoch) ? { epoch } : {}),
    [metadataKey]: trainingEntries(training),
  };
  put(path, (temporary) => savePth(temporary, content));
}
