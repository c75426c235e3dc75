// `rfdetr/predict`: images in, detections out, and drawn on the image.

export { imageExtensions } from "../data/images/image-kinds.js";
export {
  type DrawOptions,
  drawDetections,
  type ImageSource,
  type LabelledBox,
  type MosaicOptions,
  mosaic,
  type RawImage,
  type Tile,
} from "./draw.js";
export { imageFiles } from "./inputs.js";
export {
  type DecodedImage,
  type DetectOptions,
  type ImagePrediction,
  listDetections,
  Predictor,
  type SquareImage,
} from "./predict.js";
