// The public interface. Importing it does not load libtorch; the first model does.
export { type DetectorOptions, RFDETR } from "./detector.js";
export { CocoEvaluator, type CocoSummary } from "./eval/coco.js";
export { evaluateFiles } from "./eval/coco-files.js";
export type { Detection, ModelConfig } from "./model/types.js";
export { drawDetections } from "./predict/draw.js";
export { RfdetrError } from "./run/errors.js";
export { resolveConfig } from "./train/config.js";
export type { TrainEvent } from "./train/events.js";
export { type TrainResult, TrainRun } from "./train/run.js";
export type { TrainOptions, TrainSettings } from "./train/settings.js";
