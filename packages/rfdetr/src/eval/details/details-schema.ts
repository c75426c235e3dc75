// The schema of `evaluation.json`, for reading it back.
import { z } from "zod";
import { fraction } from "../../support/files/schema-fault.js";
import { errorKinds, objectSizes } from "../error-analysis/error-kinds.js";
import { detailsVersion } from "./evaluation-details.js";

const count = z.number().int().nonnegative();
const figure = fraction.nullable();
const size = z.number().positive().nullable();
const text = z.string().nullable();
/** Of a curve. */
const points = 101;
const values = z.array(fraction).refine(({ length }) => length === points, { error: `${points} values` });
const errorKind = z.enum(errorKinds);
const objectSize = z.enum(objectSizes);
const box = z.tuple([z.number(), z.number(), z.number(), z.number()]);
const cost = z.object({ count, lost: fraction });
const operating = z.object({ threshold: fraction, precision: fraction, recall: fraction, f1: fraction });

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
  iou: fraction,
  background_iou: fraction,
  max_detections: count,
  AP50: figure,
  kinds: z.record(errorKind, cost.extend({ sizes: z.record(objectSize, cost) })),
  false_positives: cost,
  false_negatives: cost,
  costliest: z.object({ kind: errorKind, size: objectSize.nullable(), lost: fraction }).nullable(),
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
  width: size,
  height: size,
  worst: z.array(z.object({ kind: errorKind, rank: count })),
  truths: z.array(z.object({ box, label: count, state: z.enum(["found", "missed", "unmatched", "crowd"]), mask })),
  detections: z.array(
    z.object({
      box,
      label: count,
      score: fraction,
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
  AR1: figure.optional(),
  AR10: figure.optional(),
  AR100: figure.optional(),
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
  confusion: z.object({ confidence: fraction, iou: fraction, cells: z.array(z.tuple([count, count, count])) }),
};

/** What a file of `EvaluationDetails` must hold. Fields that are not known, such as `AR300`, stay as they are. */
export const detailsSchema = z
  .looseObject({
    version: z.literal(detailsVersion),
    origin: z.object({
      split: text,
      data: text,
      weights: text,
      results: text,
      precision: text,
      epoch: count.nullable(),
    }),
    images: count,
    instances: count,
    detections: count,
    ...figures,
    ...explanation,
    masks: z.looseObject({ ...figures, ...explanation }).optional(),
    images_shown: z.array(image),
  })
  .superRefine((details, context) => {
    const { per_class, masks, images_shown: images } = details;
    const background = per_class.length;
    /** Labels are places in `per_class`. */
    const check = (label: number, most: number, path: PropertyKey[]): void => {
      if (label > most) context.addIssue({ code: "custom", message: `a label of at most ${most}`, path });
    };
    for (const [part, prefix] of [
      [details, []],
      ...(masks === undefined ? [] : [[masks, ["masks"]] as const]),
    ] as const) {
      for (const [i, { label }] of part.curves.classes.entries())
        check(label, background - 1, [...prefix, "curves", "classes", i, "label"]);
      for (const [i, cell] of part.confusion.cells.entries())
        for (const side of [0, 1]) check(cell[side], background, [...prefix, "confusion", "cells", i, side]);
    }
    for (const [i, image] of images.entries())
      for (const list of ["truths", "detections"] as const)
        for (const [k, { label }] of image[list].entries())
          check(label, background - 1, ["images_shown", i, list, k, "label"]);
  });
