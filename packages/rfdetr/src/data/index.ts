// `rfdetr/data`: datasets in COCO and YOLO layout, images as batches, augmentation, checks. Loads no libtorch.
export { Rng, type RngState } from "../support/random.js";
export { type AugConfig, augment, checkAugConfig } from "./augment/config.js";
export type { CustomAugmentation } from "./augment/custom-augmentation.js";
export { type AugmentPreset, augmentPresets } from "./augment/presets.js";
export { type CheckOptions, type CheckReport, checkDataset, type Finding } from "./check/check-dataset.js";
export type { TrainingReaction } from "./check/check-kinds.js";
export {
  type DuplicateGroup,
  type DuplicateOptions,
  findDuplicates,
  type SplitFile,
} from "./check/duplicates.js";
export { groupFindings } from "./check/findings.js";
export { type FixReport, fixDataset } from "./check/fix-dataset.js";
export {
  findQualityProblems,
  type JudgedSplit,
  type QualityCheck,
  type QualityFinding,
  type QualityLimits,
  qualityChecks,
} from "./check/quality.js";
export { type ConvertReport, convertDataset } from "./convert/convert-dataset.js";
export type { CustomData, CustomDataset, CustomImage, CustomRow } from "./custom/custom-dataset.js";
export type { DataPart, GivenData } from "./custom/data-path.js";
export { type GatheredData, type GatherOptions, gatherDataset } from "./custom/gather-dataset.js";
export type { Dataset, DatasetImage, Split } from "./formats/dataset.js";
export { decodeFile, type Pixels } from "./images/decode.js";
export { keepInside, type Sample } from "./images/geometry.js";
export type { ImagePixels } from "./images/image-pixels.js";
export { type Batch, type BatchPlan, DataLoader, type LoaderOptions } from "./loader/loader.js";
export type { Recipe } from "./loader/prepare-sample.js";
export { type EpochOrderOptions, epochOrder } from "./loader/sampler.js";
export { hasSplit, type OpenOptions, openDataset, openDatasets } from "./open-dataset.js";
export { type SplitOptions, type SplitReport, splitDataset } from "./split/split-dataset.js";
export { type DatasetStats, datasetStats, type SplitStats, type StatsOptions } from "./stats.js";
export { type SynthOptions, synthesize } from "./synth/synth.js";
export type { Target } from "./target.js";
