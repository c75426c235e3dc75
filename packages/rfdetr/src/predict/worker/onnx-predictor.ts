// Detects objects in images with an exported file: the twin of `Predictor` without libtorch.

import { type ResizeOptions, resizePixels } from "../../eval/pixels.js";
import { listBelow, listDetections, rowNames } from "../../onnx/detections.js";
import { OnnxModel } from "../../onnx/onnx-model.js";
import { ConfigError, ModelConfigError } from "../../support/errors.js";
import { checkInputMemory } from "../../support/machine/forward-memory.js";
import { type Shape, sidesOf } from "../../support/shape.js";
import type { DecodedImage, HostedModel, ModelRequest, SquareImage, SquarePrediction } from "../types.js";

/** An exported file that is ready to detect, on the thread that calls it. */
export class OnnxPredictor implements HostedModel {
  readonly device = "cpu";

  private constructor(readonly model: OnnxModel) {}

  /** Loads a file. @throws CheckpointError, ConfigError; UsageError if onnxruntime-node is not installed */
  static async load({
    weights,
    precision,
    numberFormat = null,
    device,
    classNames,
  }: ModelRequest): Promise<OnnxPredictor> {
    if (device !== "auto" && device !== "cpu")
      throw new ConfigError(`Expected auto or cpu for device but received ${device}: exported files run on the CPU`);
    if (numberFormat !== null)
      throw new ConfigError(
        `Expected no number format for ${weights} but received ${numberFormat}: an exported file computes as it was exported`,
      );
    const model = await OnnxModel.open(weights, classNames === undefined ? {} : { classNames });
    if (precision === "auto" || precision === true) return new OnnxPredictor(model);
    const own = model.description.precision;
    await model.release();
    throw new ConfigError(
      `Expected auto for precision but received ${precision}: ${weights} has its own, ${own}, from its export`,
    );
  }

  get info(): HostedModel["info"] {
    const { classNames, description } = this.model;
    const { variant, resolution, precision, thresholds } = description;
    const [height, width] = resolution;
    return {
      model: variant,
      classNames,
      resolution: height === width ? height : resolution,
      precision,
      numberFormat: null,
      device: this.device,
      thresholds,
    };
  }

  toSquare(image: DecodedImage, options: ResizeOptions): SquareImage {
    const { width, height } = image.original ?? image;
    const { preprocessing, resolution } = this.model.description;
    const { antialias = preprocessing.antialias } = options;
    return { pixels: resizePixels(image, resolution, { antialias }), width, height };
  }

  /** @throws ModelConfigError for any shape but that of the export */
  checkShape(shape: Shape): void {
    const [height, width] = this.model.description.resolution;
    const [rows, columns] = sidesOf(shape);
    if (rows === height && columns === width) return;
    throw new ModelConfigError(
      `Expected ${height}×${width} for shape, for which the file was exported, but received ${rows}×${columns}: export it again`,
    );
  }

  /** @throws ConfigError if there is no memory for so many images at once */
  checkMemory(images: number): void {
    checkInputMemory(images, this.model.description.resolution);
  }

  async detectSquares(images: readonly SquareImage[], threshold = 0.5): Promise<SquarePrediction[]> {
    const found = await this.model.detect(
      images.map(({ pixels }) => pixels),
      images,
      threshold,
    );
    return found.map(({ rows, ...boxes }, i) => {
      const { width, height } = images[i];
      const names = rowNames(this.model.classNames, rows);
      const detections = listDetections(boxes, names, threshold);
      return { width, height, detections, below: listBelow(boxes, names, threshold) };
    });
  }

  async dispose(): Promise<void> {
    await this.model.release();
  }
}
