// Detections that a caller gives.
import type { Mask } from "../masks/mask.js";
import type { OptionKind } from "../support/options.js";

/** Whether a value can be drawn as the mask of an image. */
const isMask = (mask: unknown): boolean => {
  const { height, width, counts } = (mask ?? {}) as Partial<Mask>;
  return (
    Number.isSafeInteger(height) &&
    Number.isSafeInteger(width) &&
    counts instanceof Uint32Array &&
    counts.reduce((sum, count) => sum + count, 0) === (height as number) * (width as number)
  );
};

const isBox = (box: unknown): boolean => Array.isArray(box) && box.length === 4 && box.every(Number.isFinite);

/** A list of what has a box, and perhaps a mask. */
export const detectionList: OptionKind = {
  takes: "a list of detections, each with a box of four finite numbers and perhaps a mask of rfdetr/masks,",
  fits: (value) =>
    Array.isArray(value) &&
    value.every((detection) => isBox(detection?.box) && (detection.mask === undefined || isMask(detection.mask))),
};
