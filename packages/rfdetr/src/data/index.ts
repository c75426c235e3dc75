export { Rng, type RngState } from "../support/random.js";
export { type AugConfig, augment, checkAugConfig } from "./augment/config.js";
export { type AugmentPreset, augmentPresets } from "./augment/presets.js";
export {
  type CheckOptions,
  type CheckReport,
  checkDataset,
  type Finding,
  type FindingKind,
  findingKinds,
  fixDataset,
} from "./formats/check.js";
export type { Dataset, DatasetImage, Split } from "./formats/dataset.js";
export { hasSplit, openDataset } from "./formats/open.js";
export { datasetStats, type SplitStats } from "./formats/stats.js";
export { decodeFile, type Pixels } from "./images/decode.js";
export { type Batch, DataLoader, type LoaderOptions } from "./loader/loader.js";
export type { Recipe } from "./loader/prepare-sample.js";
export { epochOrder } from "./loader/sampler.js";
export { type SynthOptions, synthesize } from "./synth/synth.js";
