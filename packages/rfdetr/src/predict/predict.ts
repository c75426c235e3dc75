// Detects objects in images.

import { type Autocast, type Precision, resolvePrecision } from "@rfdetr/amp";
import { noGrad, scope, type Tensor } from "@rfdetr/torch";
import { inFloat32 } from "../model/outputs.js";
import { postprocess, type ScoredBoxes, toArrays } from "../model/postprocess.js";
import { modelAutocast } from "../model/precision.js";
import { imagesToTensor, normalise_, resizeImages } from "../model/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { Detection, ModelConfig } from "../model/types.js";
import { resolveDevice } from "../support/device.js";
import { loadModel } from "../weights/weights.js";
import { decode, type ImageSource } from "./picture.js";

/** Which detections are reported. */
export interface PredictOptions {
  /** Detections with a score above this are reported; default 0.5. */
  threshold?: number;
}

/** Detections of an image and its size in pixels. */
export interface ImagePrediction {
  width: number;
  height: number;
  /** Best first, boxes in pixels of the image. */
  detections: Detection[];
}

/**
 * A model that is ready to detect.
 * @example
 * import { Predictor } from "rfdetr/predict";
 * const predictor = Predictor.load("best.safetensors", { precision: "auto" });
 * const { detections } = await predictor.detect("bird.jpg", { threshold: 0.4 });
 */
export class Predictor {
  readonly #autocast: Autocast;

  constructor(
    readonly model: RFDETRModel,
    readonly config: ModelConfig,
    readonly classNames: readonly string[],
    readonly precision: Precision,
    readonly device: string,
  ) {
    this.#autocast = modelAutocast(model, { precision });
    model.eval();
  }

  /** Loads a weights file. @throws CheckpointError, `ERR_CONFIG` */
  static load(weights: string, options: { precision?: Precision | "auto" | boolean; device?: string } = {}): Predictor {
    const device = resolveDevice(options.device ?? "auto");
    const { precision } = resolvePrecision(options.precision ?? "auto", device);
    const { model, classNames, config } = loadModel(weights);
    if (device !== "cpu") model.to(device);
    return new Predictor(model, config, classNames, precision, device);
  }

  /**
   * Detects objects in one image. The image is scaled to 0…1, resized to the resolution (bilinear, no antialias) and
   * normalised, as in `RFDETR.predict` of the Python package.
   * @throws PictureError if the image cannot be decoded
   */
  async detect(image: ImageSource, { threshold = 0.5 }: PredictOptions = {}): Promise<ImagePrediction> {
    const { data, width, height } = await decode(image);
    return { width, height, detections: this.detectPixels(data, width, height, threshold) };
  }

  /** Detections of one decoded image (`[height, width, 3]` bytes) with a score above `threshold`, best first. */
  detectPixels(pixels: Uint8Array, width: number, height: number, threshold: number): Detection[] {
    const { resolution, numSelect } = this.config;
    return noGrad(() =>
      scope(() => {
        const resized = resizeImages(imagesToTensor(pixels, 1, height, width, this.device), resolution, resolution);
        const outputs = this.forward(normalise_(resized));
        const [found] = postprocess(outputs, [[height, width]], numSelect);
        return listDetections(toArrays(found), this.classNames, threshold);
      }),
    );
  }

  /** Raw outputs, in float32, for normalised images `[B, 3, H, W]`. */
  forward(images: Tensor): ReturnType<typeof inFloat32> {
    return inFloat32(this.#autocast.run(() => this.model.call(images)));
  }
}

/**
 * The detections whose score is above `threshold` as objects, best first. A class without a name is `__background__`.
 */
export function listDetections(found: ScoredBoxes, classNames: readonly string[], threshold: number): Detection[] {
  const { boxes, scores, labels } = found;
  const detections: Detection[] = [];
  for (let i = 0; i < scores.length && scores[i] > threshold; i++) {
    const [x1, y1, x2, y2] = boxes.subarray(i * 4, i * 4 + 4);
    const className = classNames[labels[i]] ?? "__background__";
    detections.push({ box: [x1, y1, x2, y2], score: scores[i], classId: labels[i], className });
  }
  return detections;
}
