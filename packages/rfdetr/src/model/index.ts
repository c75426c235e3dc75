// `rfdetr/model`: the detector as a module, its preprocessing, outputs and post-processing.

export { imageDeviation, imageMean } from "../support/image-statistics.js";
export { type Shape, sidesOf } from "../support/shape.js";
export { cocoClasses } from "./coco-classes.js";
export { refineBoxes } from "./decoder/box-refinement.js";
export type { LevelShapes } from "./decoder/deformable-attention.js";
export { postprocess, type ScoredBoxes, type ScoredTensors, toArrays } from "./images/postprocess.js";
export { imagesToTensor, normalise_, resizeImages } from "./images/preprocess.js";
export { inFloat32, type MaskFeatures, type Outputs, type Prediction } from "./outputs.js";
export { type ModelAutocastOptions, modelAutocast, modelOverrides } from "./precision/precision.js";
export { RFDETRModel } from "./rfdetr.js";
export type { Detection, EncoderConfig, MemoryUse, ModelConfig, ProjectorScale } from "./types.js";
export { checkInputSize, resolveModel, variants } from "./variants.js";
