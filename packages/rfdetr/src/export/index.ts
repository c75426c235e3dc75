// `rfdetr/export`: detectors as ONNX files.

export { type ExportOptions, type ExportResult, exportOnnx } from "./export-onnx.js";
export type { ExportPrecision } from "./export-precisions.js";
export { clean } from "./graph/clean.js";
export {
  type Attribute,
  type ConstantData,
  type Dim,
  type ElementType,
  Graph,
  type GraphNode,
  type Origin,
  Value,
} from "./graph/graph.js";
export { type GraphOptions, makeGraph } from "./graph/make-graph.js";
export { opset } from "./opset.js";
export type { LowPrecision } from "./precision/convert-constant.js";
export type { Drift, DriftDetection, DriftForm } from "./precision/drift.js";
export type { FormError } from "./precision/forms.js";
export { type BeyondRange, type LoweringOptions, lowerPrecision } from "./precision/lower-precision.js";
export type { Island } from "./precision/precise-graph.js";
export { type FileOptions, writeOnnx } from "./write-onnx.js";
