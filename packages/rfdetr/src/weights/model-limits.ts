// The sizes that the model of a weights file may have. A file says them itself, and no memory is taken for sizes that
// no model has.
import { z } from "zod";
import type { ModelConfig } from "../model/types.js";
import { sidesOf } from "../support/shape.js";

const upTo = (most: number) => z.int().min(1).max(most);
const divides = (size: number, parts: number): boolean => size % parts === 0;

/** Every limit is far above the largest variant. */
const sizes = z
  .strictObject({
    variant: z.string(),
    encoder: z
      .strictObject({ width: upTo(8192), layers: upTo(128), heads: upTo(128), mlpRatio: z.number().positive().max(16) })
      .refine(({ width, heads }) => divides(width, heads), "the heads do not divide the width")
      .refine(({ width, mlpRatio }) => Number.isInteger(width * mlpRatio), "width · mlpRatio is no whole number"),
    patchSize: upTo(128),
    numWindows: upTo(16),
    resolution: z.union([upTo(8192), z.tuple([upTo(8192), upTo(8192)])]),
    positionalEncodingSize: upTo(1024),
    outFeatureIndexes: z.array(upTo(128)).min(1).max(16),
    hiddenDim: upTo(4096),
    decLayers: upTo(64),
    saNheads: upTo(256),
    caNheads: upTo(256),
    decNPoints: upTo(64),
    dimFeedforward: upTo(65_536),
    projectorScale: z
      .array(z.enum(["P3", "P4", "P5"]))
      .min(1)
      .max(3),
    numQueries: upTo(10_000),
    numSelect: upTo(1_000_000),
    numClasses: upTo(100_000),
    groupDetr: upTo(64),
    segmentationHead: z.boolean(),
    maskDownsampleRatio: upTo(64),
  })
  .refine(({ hiddenDim, saNheads }) => divides(hiddenDim, saNheads), "saNheads does not divide hiddenDim")
  .refine(({ hiddenDim, caNheads }) => divides(hiddenDim, caNheads), "caNheads does not divide hiddenDim")
  .refine(
    ({ encoder, outFeatureIndexes }) => Math.max(...outFeatureIndexes) <= encoder.layers,
    "outFeatureIndexes names a layer that the encoder lacks",
  )
  .refine(
    ({ resolution, patchSize, numWindows }) =>
      sidesOf(resolution).every((side) => divides(side, patchSize * numWindows)),
    "patchSize · numWindows does not divide the resolution",
  );

/**
 * What is wrong with the sizes of a model that a file describes.
 * @returns such as `groupDetr: Too big: expected number to be <=64`; undefined if nothing is wrong
 */
export function faultOfSizes(config: ModelConfig): string | undefined {
  const [issue] = sizes.safeParse(config).error?.issues ?? [];
  if (issue === undefined) return undefined;
  const text = issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`;
  return text.length <= 200 ? text : `${text.slice(0, 199)}…`;
}
