// Detects objects in images.

import type { Autocast, NumberFormatName, Precision, PrecisionRequest } from "@rfdetr/amp";
import { noGrad, scope, type Tensor } from "@rfdetr/torch";
import { whyNotFinite } from "../eval/finite-detections.js";
import { checkForwardMemory } from "../eval/forward-memory.js";
import { joinPixels } from "../eval/pixels.js";
import { toSquare } from "../eval/square.js";
import { postprocess, type ScoredBoxes, toArrays } from "../model/images/postprocess.js";
import { imagesToTensor, normalise_ } from "../model/images/preprocess.js";
import { inFloat32 } from "../model/outputs.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { checkInputSize } from "../model/variants.js";
import { listBelow, listDetections, rowNames } from "../onnx/detections.js";
import type { ImageSource } from "../pictures/picture.js";
import { noRecorded } from "../support/asked-thresholds.js";
import { NumericsError, UsageError } from "../support/errors.js";
import { append } from "../support/lists.js";
import { resolveDevice } from "../support/machine/device.js";
import type { RecordedThresholds } from "../support/recorded-thresholds.js";
import { pixelsOf, type Shape, sidesOf } from "../support/shape.js";
import { lowestThreshold } from "../support/thresholds.js";
import {
  resolveTrained,
  type TrainedPrecision,
  trainedAutocast,
  unknownTraining,
} from "../weights/trained-precision.js";
import type { ReadOptions } from "../weights/types.js";
import { loadModel, readTrainedPrecision } from "../weights/weights.js";
import { detectPrepared, prepareImage, prepareSource } from "./prepared-image.js";
import { checkSelection, withNumbers } from "./selection.js";
import type {
  DecodedImage,
  DetectOptions,
  HostedModel,
  ImagePrediction,
  KnownDetectOptions,
  SquareImage,
  SquarePrediction,
} from "./types.js";

/** What a {@link Predictor} needs beside its model. */
export interface PredictorOptions {
  /** The names of the classes by index. */
  classNames: readonly string[];
  precision: Precision;
  /** How the weights were trained, whose policy and overrides hold; default: those of the model. */
  trained?: TrainedPrecision;
  /** The thresholds that the weights recorded; default: none. */
  thresholds?: RecordedThresholds | null;
  /** The device that the model is on. */
  device: string;
  /** What errors call the model; default "the model". */
  name?: string;
}

/**
 * A model that is ready to detect, on the thread that calls it.
 * @example
 * import { Predictor } from "rfdetr/predict";
 * const predictor = Predictor.load("best.safetensors", { precision: "auto" });
 * const { detections } = await predictor.detect("bird.jpg", { threshold: 0.4 });
 */
export class Predictor implements HostedModel {
  readonly classNames: readonly string[];
  readonly precision: Precision;
  /** The number format that linear layers are emulated in; null for none. */
  readonly numberFormat: NumberFormatName | null;
  readonly device: string;
  readonly thresholds: RecordedThresholds | null;
  readonly #name: string;
  readonly #autocast: Autocast;
  readonly #names: readonly (string | null)[];
  /** Pixels of a batch that memory suffices for. */
  #checked = 0;

  constructor(
    readonly model: RFDETRModel,
    { classNames, precision, trained = unknownTraining, thresholds, device, name = "the model" }: PredictorOptions,
  ) {
    this.classNames = classNames;
    this.thresholds = thresholds ?? null;
    this.precision = precision;
    this.numberFormat = trained.numberFormat;
    this.device = device;
    this.#name = name;
    this.#autocast = trainedAutocast(model, trained, precision);
    this.#names = rowNames(classNames, model.config.numClasses + 1);
    model.eval();
  }

  get config(): ModelConfig {
    return this.model.config;
  }

  /**
   * Loads a weights file. `auto` (the default) is {@link resolveTrained}; the number format is that of the training
   * unless one, or null for none, is given.
   * @throws CheckpointError, `ERR_CONFIG`
   */
  static load(
    weights: string,
    options: {
      precision?: PrecisionRequest;
      numberFormat?: NumberFormatName | null;
      device?: string;
      reading?: ReadOptions;
    } = {},
  ): Predictor {
    const device = resolveDevice(options.device ?? "auto");
    const { precision } = resolveTrained(options.precision ?? "auto", readTrainedPrecision(weights), device);
    // Frees what initialisation leaves beside the weights.
    const { model, ...loaded } = scope(() => {
      const loaded = loadModel(weights, options.reading);
      if (device !== "cpu") loaded.model.to(device);
      return loaded;
    });
    const { numberFormat = loaded.trained.numberFormat } = options;
    const trained = { ...loaded.trained, numberFormat };
    return new Predictor(model, { ...loaded, trained, precision, device, name: weights });
  }

  /** What a detector knows of its model. */
  get info(): HostedModel["info"] {
    const { variant: model, resolution } = this.config;
    const { classNames, precision, numberFormat, device, thresholds } = this;
    return { model, classNames, resolution, precision, numberFormat, device, thresholds };
  }

  /**
   * Detects objects in one image.
   * @throws PictureError if the image cannot be decoded
   * @throws NumericsError if the model's results are not finite
   * @throws UsageError for the name of a class that the model does not have, or a recorded threshold that it lacks
   * @throws ModelConfigError for a shape that the model cannot see
   * @throws ConfigError if there is no memory for it
   */
  async detect(image: ImageSource, options: DetectOptions = {}): Promise<ImagePrediction> {
    const known = this.#check(options);
    const [found] = await detectPrepared(this, [await prepareSource(this, image, known)], known, 1);
    return found;
  }

  /**
   * Detections of one decoded image.
   * @throws NumericsError if the model's results are not finite
   * @throws UsageError for the name of a class that the model does not have, or a recorded threshold that it lacks
   * @throws ModelConfigError for a shape that the model cannot see
   * @throws ConfigError if there is no memory for it
   */
  detectPixels(image: DecodedImage, options: DetectOptions = {}): ImagePrediction {
    const known = this.#check(options);
    const { squares, finish } = prepareImage(this, image, known);
    const found: SquarePrediction[] = [];
    for (const square of squares) append(found, this.detectSquares([square], lowestThreshold(known), known.shape));
    return finish(found);
  }

  #check(options: DetectOptions): KnownDetectOptions {
    const known = withNumbers(options, this.thresholds, () => new UsageError(noRecorded(this.#name)));
    checkSelection(known, this.classNames);
    if (options.shape !== undefined) this.checkShape(options.shape);
    this.checkMemory(1, options.shape);
    return known;
  }

  /** A decoded image at the model's size. */
  toSquare(image: DecodedImage, options: Pick<DetectOptions, "antialias" | "shape">): SquareImage {
    const { width, height } = image.original ?? image;
    return { pixels: toSquare(image, options.shape ?? this.config.resolution, options), width, height };
  }

  /** @throws ModelConfigError if the sides are no multiples of the patch size times the windows */
  checkShape(shape: Shape): void {
    checkInputSize(this.config, ...sidesOf(shape));
  }

  /** @throws ConfigError if there is no memory for so many images at once */
  checkMemory(images: number, shape: Shape = this.config.resolution): void {
    const pixels = images * pixelsOf(shape);
    if (pixels <= this.#checked) return;
    const { config, device } = this;
    checkForwardMemory({ config, device, forward: (batch) => this.forward(batch) }, images, shape);
    this.#checked = pixels;
  }

  /**
   * Detects objects in a batch of images, in one forward pass.
   * @param images resized in the same way
   * @param shape of the images
   * @throws NumericsError if the model's results are not finite
   */
  detectSquares(
    images: readonly SquareImage[],
    threshold = 0.5,
    shape: Shape = this.config.resolution,
  ): SquarePrediction[] {
    const [rows, columns] = sidesOf(shape);
    return noGrad(() =>
      scope(() => {
        const pixels = joinPixels(images.map((image) => image.pixels));
        const outputs = this.forward(normalise_(imagesToTensor(pixels, images.length, rows, columns, this.device)));
        const sizes = images.map(({ width, height }) => [height, width] as const);
        const { numSelect } = this.config;
        return postprocess(outputs, sizes, numSelect, { leastScore: threshold }).map((tensors, i) => {
          const found = toArrays(tensors);
          checkFinite(found, this.#name, this);
          const { width, height } = images[i];
          const detections = listDetections(found, this.#names, threshold);
          return { width, height, detections, below: listBelow(found, this.#names, threshold) };
        });
      }),
    );
  }

  /** Raw outputs, in float32, for normalised images `[B, 3, H, W]`. */
  forward(images: Tensor): ReturnType<typeof inFloat32> {
    return inFloat32(this.#autocast.run(() => this.model.call(images)));
  }

  /** Frees the model's memory. The predictor cannot be used afterwards. */
  dispose(): void {
    this.#autocast.clearCache();
    this.model.dispose();
  }
}

function checkFinite(
  { scores, boxes }: ScoredBoxes,
  name: string,
  { precision, numberFormat }: Pick<Predictor, "precision" | "numberFormat">,
): void {
  if (scores.every(Number.isFinite) && boxes.every(Number.isFinite)) return;
  const { cause, hint } = whyNotFinite(precision, numberFormat);
  throw new NumericsError(
    `Expected finite scores and boxes but ${name} gives NaN or infinity: ${cause}`,
    hint === undefined ? {} : { hint },
  );
}
