// The sizes of objects, as COCO counts them.

/** Sizes of objects as COCO has them: small up to 32² square pixels, medium up to 96², large above. */
export const objectSizes = ["small", "medium", "large"] as const;
/** `small`, `medium` or `large`. */
export type ObjectSize = (typeof objectSizes)[number];

/** The size of an object of so many square pixels. */
export function sizeOf(area: number): ObjectSize {
  return area <= 32 ** 2 ? "small" : area <= 96 ** 2 ? "medium" : "large";
}
