// `rfdetr/model`: the detector as a module, its preprocessing, outputs and post-processing.

export { imageDeviation, imageMean } from "../support/image-statistics.js";
export { refineBoxes } from "./box-refinement.js";
export { cocoClasses } from "./coco-classes.js";
export type { LevelShapes } from "./deformable-attention.js";
export { inFloat32, type Outputs, type Prediction } from "./outputs.js";
export { postprocess, type ScoredBoxes, type ScoredTensors, toArrays } from "./postprocess.js";
export { fp16EvalAutocast, type ModelAutocastOptions, modelAutocast, modelOverrides } from "./precision.js";
export { imagesToTensor, normalise_, resizeImages } from "./preprocess.js";
export { RFDETRModel } from "./rfdetr.js";
export type { Detection, EncoderConfig, ModelConfig, ProjectorScale } from "./types.js";
export { checkInputSize, resolveModel, variants } from "./variants.js";
