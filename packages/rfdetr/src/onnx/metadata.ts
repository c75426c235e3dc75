// What an exported file says of itself: the `metadata_props` of an ONNX model, strings by name. The exporter writes
// them; Node and browser read them. No import of Node.
import { imageDeviation, imageMean } from "../support/image-statistics.js";
import { isThresholds, type RecordedThresholds } from "../support/recorded-thresholds.js";
import { isShare } from "../support/thresholds.js";
import type { Golden, GoldenTolerance } from "./goldens.js";

/** How images become the input of the model. */
export interface Preprocessing {
  /** Subtracted from each channel on the scale 0 to 1, then each is divided by `std`. */
  mean: [number, number, number];
  std: [number, number, number];
  resize: "bilinear";
  /** Whether a pixel of the resized image averages all that it covers, as `PIL.Image.resize` does. */
  antialias: boolean;
  layout: "NCHW";
}

/** What the input of every model of the family goes through. */
export const preprocessing: Preprocessing = {
  mean: [...imageMean],
  std: [...imageDeviation],
  resize: "bilinear",
  antialias: true,
  layout: "NCHW",
};

/** The proof of an export against the detector's own forward pass. */
export interface ExportProof {
  /** Images that both ran. */
  images: number;
  /** Queries that were compared. Old files lack it, and the next two. */
  queries?: number;
  /** Those of them that are within the tolerance. */
  within?: number;
  /** How far a query may be off in pixels, in score, and in 1 − IoU of its mask. */
  tolerance?: { box_px: number; score: number; mask?: number };
  /** Largest difference of a box coordinate, in pixels of the model's input. */
  max_box_error_px: number;
  max_score_error: number;
  /** Queries whose best score is on one side of the threshold only. */
  flips: number;
  threshold: number;
  /** The best score of either: without one at the threshold there is nothing that could flip. Old files lack it. */
  best_score?: number;
  /** Largest difference of a mask logit, where the model has masks. */
  max_mask_logit_error?: number;
  /** Least intersection over union of a mask of the file with that of the model. */
  min_mask_iou?: number;
  /** Average precision of the boxes, where the images have annotations; −1 where these have no object. */
  AP?: ProofFigure;
  /** The same by the overlap of masks, where the model has masks. Old files lack it. */
  mask_AP?: ProofFigure;
}

/** A figure of the model in float32, and of the file. */
export interface ProofFigure {
  ours: number;
  export: number;
}

/** Metadata of an exported file. */
export interface ExportMetadata {
  /** Name of the variant, such as `nano`. */
  variant: string;
  /** Height and width of the input in pixels. */
  resolution: [height: number, width: number];
  /** By class index; the model has a row more, for no class. */
  classNames: string[];
  preprocessing: Preprocessing;
  /** Detections that post-processing selects for each image. */
  numSelect: number;
  /** Height and width of the output `masks`; null for a model without masks. */
  masks: [height: number, width: number] | null;
  /** Of the file, such as `fp32`, `fp16` or `int8`. */
  precision: string;
  /** Of the training, such as `bf16-mixed`; null if it is not known. */
  trainingPrecision: string | null;
  /** The thresholds that the evaluation of the training found best; null where the weights had none. */
  thresholds: RecordedThresholds | null;
  /**
   * AP50 in the evaluation of the training, of masks where the model has some: at 0 no detection was right. Null where
   * the weights had none; old files lack it.
   */
  AP50: number | null;
  /** Of this program. */
  version: string;
  licence: string;
  proof: ExportProof | null;
  /** Inputs with the results that the file must give for them. */
  goldens: { tolerance: GoldenTolerance; cases: Golden[] } | null;
}

/** Version of the metadata's format. */
const exportFormat = "1";

const prefix = "rfdetr.";

/** Which metadata are text; the others are JSON. */
const texts = {
  variant: "variant",
  precision: "precision",
  trainingPrecision: "training_precision",
  version: "version",
  licence: "licence",
} as const;
const values = {
  resolution: "resolution",
  classNames: "class_names",
  preprocessing: "preprocessing",
  numSelect: "num_select",
  masks: "masks",
  thresholds: "thresholds",
  AP50: "ap50",
  proof: "proof",
  goldens: "goldens",
} as const;

/** The entries of a file; what is null has none. */
export function metadataEntries(metadata: ExportMetadata): Record<string, string> {
  const entries: Record<string, string> = { [`${prefix}format`]: exportFormat };
  for (const [key, name] of Object.entries(texts)) {
    const text = metadata[key as keyof typeof texts];
    if (text !== null) entries[prefix + name] = text;
  }
  for (const [key, name] of Object.entries(values)) {
    const value = metadata[key as keyof typeof values];
    if (value !== null) entries[prefix + name] = JSON.stringify(value);
  }
  return entries;
}

/** Whether a value is a positive integer. */
export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

/**
 * Reads the entries of a file.
 * @returns null for a file that this program did not write
 * @throws Error if an entry is missing or damaged, or if the format is a later one
 */
export function parseMetadata(entries: Readonly<Record<string, string>>): ExportMetadata | null {
  const format = entries[`${prefix}format`];
  if (format === undefined) return null;
  if (format !== exportFormat)
    throw new Error(
      `Expected format ${exportFormat} in rfdetr.format but it is ${format}: a later version wrote the file`,
    );
  const text = (name: string): string => {
    const value = entries[prefix + name];
    if (value === undefined) throw new Error(`Expected ${prefix}${name} in the metadata but it is missing`);
    return value;
  };
  const json = <T>(name: string, fits: (value: T) => boolean): T => {
    const given = text(name);
    let value: T | undefined;
    try {
      value = JSON.parse(given);
    } catch {}
    if (value === undefined || !fits(value))
      throw new Error(`Expected a value of its kind in ${prefix}${name} of the metadata but it is damaged`);
    return value;
  };
  const optional = <T>(name: string, fits = (value: unknown): boolean => typeof value === "object"): T | null =>
    entries[prefix + name] === undefined ? null : json<T>(name, fits);
  return {
    variant: text("variant"),
    resolution: json("resolution", (value: [number, number]) => Array.isArray(value) && value.every(isCount)),
    classNames: json("class_names", (value: string[]) => Array.isArray(value)),
    preprocessing: json("preprocessing", ({ mean, std }: Preprocessing) => mean?.length === 3 && std?.length === 3),
    numSelect: json<number>("num_select", isCount),
    masks: optional("masks"),
    precision: text("precision"),
    trainingPrecision: entries[`${prefix}training_precision`] ?? null,
    thresholds: optional("thresholds", isThresholds),
    AP50: optional<number>("ap50", isShare),
    version: text("version"),
    licence: text("licence"),
    proof: optional("proof"),
    goldens: optional("goldens"),
  };
}
