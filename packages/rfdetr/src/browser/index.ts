// `rfdetr/browser`: exported files in the browser. No import of Node or libtorch.
export { decodeMask, type Mask, maskArea } from "../masks/mask.js";
export { maskWindow } from "../masks/segments.js";
export type { Detection } from "../model/types.js";
export type { BestBelow } from "../onnx/detections.js";
export { errorInWords, type GoldenError } from "../onnx/goldens.js";
export { classColors, readableOn } from "../support/class-colors.js";
export type { RecordedThresholds } from "../support/recorded-thresholds.js";
export type { Backend, Runtime, Session } from "./backend.js";
export { type Attempt, backendName, type LoadReport, type SamplingForm } from "./choose-backend.js";
export { type LoadOptions, type PredictOptions, RFDETR, type TimedDetections } from "./detector.js";
export type { ImageInput } from "./image-pixels.js";
export type { RuntimeOptions } from "./runtime.js";
