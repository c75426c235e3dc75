// `rfdetr/predict`: images in, detections out, and drawn on the image.

export { imageExtensions } from "../data/images/image-kinds.js";
export type { BestBelow } from "../onnx/detections.js";
export { listDetections } from "../onnx/detections.js";
export {
  type DrawOptions,
  drawDetections,
  type ImageSource,
  type LabelledBox,
  type RawImage,
} from "../pictures/drawing/draw.js";
export { fontWarning } from "../pictures/drawing/lettering.js";
export { type MosaicOptions, mosaic, type Tile } from "../pictures/drawing/mosaic.js";
export { writeEvaluationPictures } from "../pictures/evaluation-pictures.js";
export { type PictureEntry, type PictureKind, pictureKinds, readPictures } from "../pictures/picture-index.js";
export { classColors, readableOn } from "../support/class-colors.js";
export { imageFiles } from "./inputs/inputs.js";
export { Predictor, type PredictorOptions } from "./predict.js";
export type { DecodedImage, DetectOptions, ImagePrediction, SquareImage, SquarePrediction } from "./types.js";
