// The public interface. Importing it does not load libtorch; the first model does.

export type { CustomData, CustomDataset, CustomImage, CustomRow } from "./data/custom/custom-dataset.js";
export type { DataPart, GivenData } from "./data/custom/data-path.js";
export type { ImagePixels } from "./data/images/image-pixels.js";
export { RFDETR } from "./detector/detector.js";
export type { DetectorOptions } from "./detector/detector-options.js";
export type { DetectorEvaluateOptions } from "./detector/evaluate.js";
export type { DetectorExportOptions } from "./detector/export.js";
export type { ResumeOptions } from "./detector/resume.js";
export type { DetectorTrainOptions } from "./detector/train.js";
export { CocoEvaluator, type CocoSummary } from "./eval/coco/coco.js";
export { evaluateFiles, loadFiles } from "./eval/coco/coco-files.js";
export type { ResizeOptions } from "./eval/pixels.js";
export type { ExportResult } from "./export/export-onnx.js";
export type { ExportPrecision } from "./export/export-precisions.js";
export type { Detection, ModelConfig } from "./model/types.js";
export type { BestBelow } from "./onnx/detections.js";
export { type CropOptions, cropDetections } from "./pictures/drawing/crop.js";
export {
  type DrawOptions,
  drawDetections,
  type ImageSource,
  type LabelledBox,
  type RawImage,
} from "./pictures/drawing/draw.js";
export { type MosaicOptions, mosaic, type Tile } from "./pictures/drawing/mosaic.js";
export type { ImageInput } from "./predict/inputs/image-input.js";
export { imageFiles } from "./predict/inputs/inputs.js";
export type {
  Predictions,
  PredictManyOptions,
  PredictOptions,
  SourcePrediction,
  TextPredictions,
} from "./predict/predictions.js";
export type { Selection } from "./predict/selection.js";
export type { Tiling } from "./predict/tiles.js";
export { type TrackedDetection, Tracker, type TrackOptions, track } from "./predict/tracking/tracker.js";
export type { ModelInfo } from "./predict/types.js";
export { type Video, type VideoFrame, type VideoOptions, video } from "./predict/video/video.js";
export type { VideoName } from "./predict/video/video-name.js";
export {
  type CallbackAnswer,
  type CallbackEvaluation,
  type CallbackStep,
  defineCallbacks,
  type EpochStart,
  type JsonValue,
  type TrainCallbacks,
} from "./run/callbacks/train-callbacks.js";
export type * from "./run/events/events.js";
export type { RunSummary } from "./run/files/run-directory.js";
export { type TrainResult, TrainRun } from "./run/train-run.js";
export { defineConfig } from "./settings/config-file.js";
export { resolveSettings } from "./settings/resolve.js";
export type { TrainOptions, TrainSettings } from "./settings/settings.js";
export type { AskedThreshold, AskedThresholds } from "./support/asked-thresholds.js";
export {
  AssignmentError,
  CheckpointError,
  ConfigError,
  CustomCodeError,
  DataError,
  EvaluationError,
  ExportError,
  InternalError,
  ModelConfigError,
  NumericsError,
  PictureError,
  RfdetrError,
  RunDirectoryError,
  UsageError,
  VideoError,
} from "./support/errors.js";
