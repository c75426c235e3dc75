// `rfdetr/masks`: masks of objects, for segmentation.

export { type CocoRuns, decodeCounts, fromCocoRuns, toCocoRuns } from "./coco-runs.js";
export { joinPolygons, maskPolygons } from "./contours.js";
export { decodeMask, encodeMask, type Mask, maskArea, maskBox, uniteMasks } from "./mask.js";
export { boxOutline, type Outline, outlineMask } from "./outline.js";
export { type MeasuredMask, maskIntersection, maskIou, measureMask } from "./overlap.js";
export { resizeMasks } from "./resize-masks.js";
