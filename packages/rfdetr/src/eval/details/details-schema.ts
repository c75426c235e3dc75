// The schema of `evaluation.json`, for reading it back.
import { z } from "zod";
import { errorKinds, objectSizes } from "../error-analysis/error-kinds.js";
import { detailsVersion } from "./evaluation-details.js";

const count = z.number().int().nonnegative();
const figure = z.number().nullable();
const text = z.string().nullable();
const values = z.array(z.number());
const errorKind = z.enum(errorKinds);
const objectSize = z.enum(objectSizes);
const box = z.tuple([z.number(), z.number(), z.number(), z.number()]);
const cost = z.object({ count, lost: z.number() });
const operating = z.object({ threshold: z.number(), precision: z.number(), recall: z.number(), f1: z.number() });

const classDetails = z.object({
  class_id: z.number(),
  class_name: z.string(),
  AP: figure,
  AP50: figure,
  AP75: figure,
  AR: figure,
  images: count,
  instances: count,
  best: operating.nullable(),
  errors: z.record(errorKind, cost),
});

const property = z.object({
  property: z.enum(["image_size", "aspect", "objects", "crowding", "brightness"]),
  groups: z.array(
    z.object({ from: z.number(), to: z.number(), images: count, instances: count, AP: figure, AP50: figure }),
  ),
});

const errors = z.object({
  iou: z.number(),
  background_iou: z.number(),
  max_detections: count,
  AP50: figure,
  kinds: z.record(errorKind, cost.extend({ sizes: z.record(objectSize, cost) })),
  false_positives: cost,
  false_negatives: cost,
  costliest: z.object({ kind: errorKind, size: objectSize.nullable(), lost: z.number() }).nullable(),
});

const curves = z.object({
  points: values,
  mean: z.object({ precision_by_recall: values, precision: values, recall: values, f1: values }),
  classes: z.array(
    z.object({
      label: count,
      precision_by_recall: values,
      precision: values,
      recall: values,
      reached: count.optional(),
    }),
  ),
});

const mask = z.object({ size: z.tuple([count, count]), counts: z.string() }).optional();
const image = z.object({
  id: z.union([z.number(), z.string()]),
  file: text,
  width: figure,
  height: figure,
  worst: z.array(z.object({ kind: errorKind, rank: count })),
  truths: z.array(z.object({ box, label: count, state: z.enum(["found", "missed", "unmatched", "crowd"]), mask })),
  detections: z.array(
    z.object({
      box,
      label: count,
      score: z.number(),
      state: z.enum(["correct", "ignored", ...errorKinds]).exclude(["missed"]),
      truth: count.nullable(),
      mask,
    }),
  ),
});

const figures = {
  AP: figure,
  AP50: figure,
  AP75: figure,
  AP_small: figure,
  AP_medium: figure,
  AP_large: figure,
  AR_small: figure,
  AR_medium: figure,
  AR_large: figure,
};

const explanation = {
  per_class: z.array(classDetails),
  best_threshold: operating,
  sizes: z.array(z.object({ size: objectSize, instances: count, AP: figure, AP50: figure, AR: figure })),
  datasets: z
    .array(z.object({ path: z.string(), images: count, instances: count, AP: figure, AP50: figure }))
    .optional(),
  properties: z.array(property),
  errors,
  curves,
  confusion: z.object({ confidence: z.number(), iou: z.number(), cells: z.array(z.tuple([count, count, count])) }),
};

/** What a file of {@link EvaluationDetails} must hold. Fields that are not known, such as `AR1`, stay as they are. */
export const detailsSchema = z.looseObject({
  version: z.literal(detailsVersion),
  origin: z.object({ split: text, data: text, weights: text, results: text, precision: text, epoch: figure }),
  images: count,
  instances: count,
  detections: count,
  ...figures,
  ...explanation,
  masks: z.looseObject({ ...figures, ...explanation }).optional(),
  images_shown: z.array(image),
});
