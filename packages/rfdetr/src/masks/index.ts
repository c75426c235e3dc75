// `rfdetr/masks`: masks of objects, for segmentation.

export { type CocoRuns, fromCocoRuns, toCocoRuns } from "./coco-runs.js";
export { decodeMask, encodeMask, type Mask, maskArea, maskBox } from "./mask.js";
export type { Outline } from "./outline.js";
