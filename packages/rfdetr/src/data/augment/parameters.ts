// Parameters of augmentations, in the forms that Albumentations takes them.
import { z } from "zod";
import type { Rng } from "../../support/random.js";
import type { Sample } from "../images/geometry.js";

/**
 * Changes an image with its boxes; draws its random values from `rng`. @param classes of the dataset, where they are
 * known
 */
export type Step = (sample: Sample, rng: Rng, classes?: number) => Sample | Promise<Sample>;

/** A kind of augmentation: its parameters, `p` among them, and the step that they give. */
export interface Kind {
  parameters: z.ZodObject;
  make: (parameters: never) => Step;
}

/** Both ends included. */
type Range = readonly [low: number, high: number];
/** Two numbers in ascending order. */
export const pair = z
  .tuple([z.number(), z.number()])
  .refine(([low, high]) => low <= high, "the first number must not be the larger");

/** A range, or one number n, which stands for `of(n)`. */
export const range = (of: (n: number) => Range) => z.union([z.number().transform((n): Range => of(n)), pair]);
/** One number n is −|n| to |n|. */
export const symmetric = range((n) => [-Math.abs(n), Math.abs(n)]);
/** One number n is n to n. */
export const fixed = range((n) => [n, n]);
/** One range for both axes, or `{ x, y }`; an axis that is left out is `rest`. */
export const perAxis = (rest: number) =>
  z.union([
    fixed.transform((both) => ({ x: both, y: both })),
    z
      .strictObject({ x: fixed.default([rest, rest]), y: fixed.default([rest, rest]) })
      .refine((v) => Object.keys(v).length > 0),
  ]);
/** One number n is the factors 1 − n to 1 + n, not below 0. */
export const factor = range((n) => [Math.max(0, 1 - n), 1 + n]);

/** A uniform number of the range. Draws nothing for a range of one number. */
export const draw = (rng: Rng, [low, high]: Range): number => (low === high ? low : rng.uniform(low, high));

/** A parameter that is supported with one value only. */
export const only = <const T extends z.core.util.Literal>(value: T) => z.literal(value).default(value as never);
/** Parameters that all affine augmentations share. */
export const warping = {
  border_mode: only(0),
  interpolation: only(1),
  fill: only(0),
  rotate_method: only("largest_box"),
};

/** An augmentation with default probability `p` and parameters of this shape. */
export function kind<T extends z.ZodRawShape>(
  p: number,
  shape: T,
  make: (parameters: z.output<z.ZodObject<T>>) => Step,
): Kind {
  return {
    parameters: z.strictObject({ p: z.number().min(0).max(1).default(p), ...shape }),
    make: make as Kind["make"],
  };
}
