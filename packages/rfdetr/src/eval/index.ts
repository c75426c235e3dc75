// `rfdetr/eval`: COCO mean average precision of a model, a weights file or results, and the figures that explain it.
export type { EvaluationBatch } from "./batch.js";
export {
  type ClassSummary,
  CocoEvaluator,
  type CocoEvaluatorOptions,
  type CocoSummary,
  type EvaluatedImage,
  type GroundTruth,
  type ImageDetections,
  type ImageFacts,
} from "./coco/coco.js";
export { evaluateFiles, type FileEvaluationOptions } from "./coco/coco-files.js";
export { stockFigures } from "./coco/coco-summary.js";
export { evaluationDetails } from "./details/describe-evaluation.js";
export { readDetails, writeDetails } from "./details/details-file.js";
export type * from "./details/evaluation-details.js";
export { type Diagnosis, diagnose } from "./error-analysis/diagnose.js";
export { type ErrorAnalysis, errorAnalysis } from "./error-analysis/error-analysis.js";
export { type ErrorCost, type ErrorKind, errorKinds, type ObjectSize } from "./error-analysis/error-kinds.js";
export { type EvaluationOptions, evaluate } from "./evaluate.js";
export { type EvaluateWeightsOptions, evaluateWeights } from "./evaluate-weights.js";
export { evaluationBatches, evaluationLoader, openEvaluationData } from "./evaluation-data.js";
export { confusionFigure } from "./figures/confusion-figure.js";
export { type ConfusionMatrix, type ConfusionMatrixOptions, confusionMatrix } from "./figures/confusion-matrix.js";
export { f1Figure, precisionRecallFigure } from "./figures/curve-figures.js";
export { type PrecisionRecallCurves, precisionRecallCurves } from "./figures/curves.js";
export { type F1Sweep, f1Sweep, type OperatingPoint } from "./figures/f1-sweep.js";
export * as svg from "./figures/figure.js";
export { type MetricsRow, resultsFigure } from "./figures/results-figure.js";
