// `rfdetr/onnx`: exported files, run without libtorch.

export { type DemoPageOptions, writeDemoPage } from "./demo-page.js";
export { type EvaluateOnnxOptions, evaluateOnnx } from "./evaluate-onnx.js";
export type { ExportedModel } from "./exported-model.js";
export type { Golden, GoldenError, GoldenQuery, GoldenTolerance, RawOutputs } from "./goldens.js";
export { compareGolden, goldenPixels, goldenQueries } from "./goldens.js";
export type { ExportMetadata, ExportProof, Preprocessing, ProofFigure } from "./metadata.js";
export { OnnxModel } from "./onnx-model.js";
