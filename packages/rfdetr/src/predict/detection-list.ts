// Detections that a caller gives.
import type { OptionKind } from "../support/options.js";

const isBox = (box: unknown): boolean => Array.isArray(box) && box.length === 4 && box.every(Number.isFinite);

/** A list of what has a box. */
export const detectionList: OptionKind = {
  takes: "a list of detections, each with a box of four finite numbers,",
  fits: (value) => Array.isArray(value) && value.every((detection) => isBox(detection?.box)),
};
