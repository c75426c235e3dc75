// The model variants: the published family, and two small variants for CPUs.
import { ModelConfigError } from "../support/errors.js";
import { sidesOf } from "../support/shape.js";
import { suggest } from "../support/suggest.js";
import type { EncoderConfig, ModelConfig } from "./types.js";

const small: EncoderConfig = { width: 384, layers: 12, heads: 6, mlpRatio: 4 };
const base: EncoderConfig = { width: 768, layers: 12, heads: 12, mlpRatio: 4 };

const common = {
  encoder: small,
  patchSize: 16,
  numWindows: 2,
  outFeatureIndexes: [3, 6, 9, 12],
  hiddenDim: 256,
  saNheads: 8,
  caNheads: 16,
  decNPoints: 2,
  dimFeedforward: 2048,
  projectorScale: ["P4"],
  numQueries: 300,
  numSelect: 300,
  numClasses: 90,
  groupDetr: 13,
  segmentationHead: false,
  maskDownsampleRatio: 4,
} satisfies Partial<ModelConfig>;

/** The first models of the family, with the patches and the position table of DINOv2. */
const first = {
  patchSize: 14,
  numWindows: 4,
  resolution: 560,
  positionalEncodingSize: 37,
  outFeatureIndexes: [2, 5, 8, 11],
  decLayers: 3,
} satisfies Partial<ModelConfig>;

const large = {
  encoder: base,
  patchSize: 20,
  hiddenDim: 512,
  decLayers: 5,
  saNheads: 16,
  caNheads: 32,
  decNPoints: 4,
  numClasses: 365,
} satisfies Partial<ModelConfig>;

/** The models with a segmentation head. */
const seg = {
  ...common,
  patchSize: 12,
  segmentationHead: true,
} satisfies Partial<ModelConfig>;

const queries = (count: number) => ({ numQueries: count, numSelect: count });

/** Trains from random weights on two CPU cores in minutes. */
const demo: Omit<SquareModelConfig, "variant"> = {
  ...common,
  encoder: { width: 128, layers: 4, heads: 4, mlpRatio: 4 },
  patchSize: 8,
  resolution: 128,
  positionalEncodingSize: 16,
  outFeatureIndexes: [2, 4],
  hiddenDim: 128,
  decLayers: 2,
  saNheads: 4,
  caNheads: 8,
  dimFeedforward: 512,
  numQueries: 50,
  numSelect: 100,
  numClasses: 8,
  groupDetr: 3,
};

/** For tests: trains within a minute. */
const tiny: Omit<SquareModelConfig, "variant"> = {
  ...common,
  encoder: { width: 96, layers: 3, heads: 3, mlpRatio: 4 },
  patchSize: 8,
  resolution: 96,
  positionalEncodingSize: 12,
  outFeatureIndexes: [2, 3],
  hiddenDim: 96,
  decLayers: 2,
  saNheads: 4,
  caNheads: 4,
  dimFeedforward: 256,
  numQueries: 30,
  numSelect: 60,
  numClasses: 8,
  groupDetr: 3,
};

const table: Record<string, Omit<SquareModelConfig, "variant">> = {
  nano: { ...common, resolution: 384, positionalEncodingSize: 24, decLayers: 2 },
  small: { ...common, resolution: 512, positionalEncodingSize: 32, decLayers: 3 },
  medium: { ...common, resolution: 576, positionalEncodingSize: 36, decLayers: 4 },
  base: { ...common, ...first },
  large: { ...common, resolution: 704, positionalEncodingSize: 44, decLayers: 4 },
  "large-deprecated": {
    ...common,
    ...first,
    encoder: base,
    hiddenDim: 384,
    saNheads: 12,
    caNheads: 24,
    decNPoints: 4,
    projectorScale: ["P3", "P5"],
  },
  xlarge: { ...common, ...large, numWindows: 1, resolution: 700, positionalEncodingSize: 35 },
  "2xlarge": { ...common, ...large, resolution: 880, positionalEncodingSize: 44 },
  "seg-preview": { ...seg, ...queries(200), resolution: 432, positionalEncodingSize: 36, decLayers: 4 },
  "seg-nano": {
    ...seg,
    ...queries(100),
    resolution: 312,
    positionalEncodingSize: 26,
    numWindows: 1,
    decLayers: 4,
  },
  "seg-small": { ...seg, ...queries(100), resolution: 384, positionalEncodingSize: 32, decLayers: 4 },
  "seg-medium": { ...seg, ...queries(200), resolution: 432, positionalEncodingSize: 36, decLayers: 5 },
  "seg-large": { ...seg, ...queries(200), resolution: 504, positionalEncodingSize: 42, decLayers: 5 },
  "seg-xlarge": { ...seg, resolution: 624, positionalEncodingSize: 52, decLayers: 6 },
  "seg-2xlarge": { ...seg, resolution: 768, positionalEncodingSize: 64, decLayers: 6 },
  demo,
  tiny,
  "seg-demo": { ...demo, segmentationHead: true },
  "seg-tiny": { ...tiny, segmentationHead: true },
};
/** A model that is trained on squares, as every variant is where its resolution is not changed. */
export type SquareModelConfig = ModelConfig & { resolution: number };

type ModelChanges = Partial<Omit<ModelConfig, "variant">>;

/** Names of all variants: `nano`, `small`, `medium` and so on. */
export const variants: readonly string[] = Object.keys(table);

/**
 * Returns the variant of a class of the Python package: `RFDETRLargeDeprecated` gives `large-deprecated`,
 * `RFDETRSeg2XLarge` gives `seg-2xlarge`.
 */
export function variantOfClass(name: string): string {
  return name
    .replace(/^RFDETR/, "")
    .replace(/([a-z])([A-Z0-9])/g, "$1-$2")
    .toLowerCase();
}

/**
 * Checks the size of an input.
 * @param config the model
 * @param height in pixels
 * @param width in pixels
 * @throws ModelConfigError if height or width is not a positive multiple of patchSize · numWindows; the message gives
 * the nearest valid sizes
 * @example
 * import { checkInputSize, resolveModel } from "rfdetr/model";
 * checkInputSize(resolveModel("nano"), 384, 448); // 400 would throw: nano needs multiples of 32
 */
export function checkInputSize(config: ModelConfig, height: number, width: number): void {
  // Every window holds whole patches.
  const block = config.patchSize * config.numWindows;
  for (const side of [height, width]) {
    if (Number.isInteger(side) && side >= block && side % block === 0) continue;
    const lower = Math.max(block, Math.floor(side / block) * block);
    throw new ModelConfigError(
      `Expected an input side divisible by ${block} (patch size ${config.patchSize} × ${config.numWindows} windows) for ${config.variant} but received ${side}: use ${lower} or ${lower + block}`,
    );
  }
}

/**
 * Returns the configuration of a variant, with some fields changed. If the resolution changes, the grid of positional
 * embeddings changes with it, except for rectangles, and in `base` and `large-deprecated`, which always keep DINOv2's
 * grid of 37×37.
 * @param variant one of {@link variants}
 * @param overrides fields to change; undefined fields keep the default of the variant
 * @throws ModelConfigError if the variant is unknown (the message suggests a similar name), if the resolution is not a
 * multiple of patchSize · numWindows, or if a count is not a positive integer
 * @example
 * import { resolveModel } from "rfdetr/model";
 * const config = resolveModel("nano", { numClasses: 8, resolution: 448 });
 */
export function resolveModel(variant: string, overrides?: ModelChanges & { resolution?: number }): SquareModelConfig;
export function resolveModel(variant: string, overrides?: ModelChanges): ModelConfig;
export function resolveModel(variant: string, overrides: ModelChanges = {}): ModelConfig {
  const defaults = Object.hasOwn(table, variant) ? table[variant] : undefined;
  if (defaults === undefined)
    throw new ModelConfigError(
      `Expected one of ${variants.join(", ")} for the model but received ${variant}${meant(variant)}`,
    );
  const given = Object.fromEntries(
    Object.entries(overrides).filter(([, value]) => value !== undefined),
  ) as Partial<ModelConfig>;
  const config: ModelConfig = { variant, ...defaults, ...given };
  const { resolution, patchSize } = config;
  const ownGrid = defaults.positionalEncodingSize === Math.floor(defaults.resolution / defaults.patchSize);
  // The grid is a square: it is interpolated to the patches of a rectangle.
  if (given.resolution !== undefined && given.positionalEncodingSize === undefined && ownGrid)
    if (typeof resolution === "number") config.positionalEncodingSize = Math.floor(resolution / patchSize);
  checkInputSize(config, ...sidesOf(resolution));
  for (const key of ["numClasses", "numQueries", "numSelect", "groupDetr"] as const)
    if (!Number.isInteger(config[key]) || config[key] < 1)
      throw new ModelConfigError(
        `Expected positive integer for ${key} but received ${config[key]} of type ${typeof config[key]}`,
      );
  return config;
}

/**
 * What the weights of two models must have in common, as text: all sizes but those that weights can be fitted to
 * (classes, queries, groups, resolution), or that no weight depends on (the size of masks).
 */
export function architectureOf(config: ModelConfig): string {
  const { variant, numClasses, numQueries, numSelect, groupDetr, resolution, positionalEncodingSize, ...rest } = config;
  const { maskDownsampleRatio, ...kept } = rest;
  return JSON.stringify(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function meant(name: unknown): string {
  const best = typeof name === "string" ? suggest(name, variants) : undefined;
  return best === undefined ? "" : `: did you mean ${best}?`;
}
