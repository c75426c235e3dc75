// The public interface. Importing it does not load libtorch; the first model does.
export { type DetectorOptions, RFDETR } from "./detector.js";
export { CocoEvaluator, type CocoSummary } from "./eval/coco/coco.js";
export { evaluateFiles, loadFiles } from "./eval/coco/coco-files.js";
export type { Detection, ModelConfig } from "./model/types.js";
export { drawDetections } from "./predict/draw.js";
export type { TrainEvent } from "./run/files/events.js";
export { type TrainResult, TrainRun } from "./run/train-run.js";
export { resolveSettings } from "./settings/resolve.js";
export type { TrainOptions, TrainSettings } from "./settings/settings.js";
export {
  AssignmentError,
  CheckpointError,
  ConfigError,
  DataError,
  EvaluationError,
  InternalError,
  ModelConfigError,
  NumericsError,
  PictureError,
  RfdetrError,
  RunDirectoryError,
  UsageError,
} from "./support/errors.js";
