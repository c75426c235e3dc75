// The models of the prediction thread. Detectors of the same weights and precision share one.
import { statSync } from "node:fs";
import type { Precision } from "@rfdetr/amp";
import { packError, type SentError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import type { ClassNumbering } from "../weights/class-numbering.js";
import { decode, type ImageSource } from "./picture.js";
import { type DetectOptions, type ImagePrediction, Predictor, type SquareImage } from "./predict.js";

/** Which model a detector needs. */
export interface ModelRequest {
  weights: string;
  precision: Precision | "auto" | boolean;
  /** `auto`, `cpu` or `cuda:N`. */
  device: string;
  /** The label of the first class in a checkpoint of the Python package. */
  classNumbering?: ClassNumbering;
}

/** What a detector knows of its model once that is loaded. */
export interface ModelInfo {
  /** Variant of the weights, such as `nano`. */
  model: string;
  classNames: readonly string[];
  /** Side in pixels of the square that images are resized to. */
  resolution: number;
  precision: Precision;
  device: string;
  /** What is unusual about the weights. */
  warnings: readonly string[];
}

/** Pictures that are decoded at a time; libuv has four threads for it. */
const decodedTogether = 4;

/** Loads models, and runs them in the order of the requests. */
export class ModelHost {
  readonly #models = new Map<string, { predictor: Predictor; warnings: string[]; users: number }>();
  /** Ends when the images of the last request are prepared. */
  #prepared: Promise<unknown> = Promise.resolve();
  /** End when the last two requests have been through their models. */
  #forwards: [Promise<unknown>, Promise<unknown>] = [Promise.resolve(), Promise.resolve()];

  /** Loads a model, unless it is there. Every call needs a {@link free} later. @throws CheckpointError, ConfigError */
  load(request: ModelRequest): { key: string; info: ModelInfo } {
    const file = statSync(request.weights, { throwIfNoEntry: false });
    const key = JSON.stringify([request, file?.dev, file?.ino, file?.size, file?.mtimeMs]);
    let entry = this.#models.get(key);
    if (entry === undefined) {
      const warnings: string[] = [];
      const warn = (message: string) => warnings.push(message);
      const reading = { classNumbering: request.classNumbering, warn };
      entry = { predictor: Predictor.load(request.weights, { ...request, reading }), warnings, users: 0 };
      this.#models.set(key, entry);
    }
    entry.users++;
    const { config, classNames, precision, device } = entry.predictor;
    const { variant: model, resolution } = config;
    return { key, info: { model, classNames, resolution, precision, device, warnings: entry.warnings } };
  }

  /**
   * Detects objects in a batch of images. While a batch goes through a model, the images of the next are decoded.
   * @returns for each image what was found, or why it cannot be read
   * @throws NumericsError if the model's results are not finite
   */
  async detect(
    key: string,
    images: readonly ImageSource[],
    options: DetectOptions,
  ): Promise<(ImagePrediction | SentError)[]> {
    const { predictor } = this.#model(key);
    const [secondLast, last] = this.#forwards;
    const prepared = Promise.all([this.#prepared, secondLast]).then(() => prepare(predictor, images, options));
    const forward = Promise.all([prepared, last]).then(([squares]) => {
      const good = squares.filter((image): image is SquareImage => "pixels" in image);
      const found = good.length === 0 ? [] : predictor.detectSquares(good, options.threshold);
      return squares.map((image) => ("pixels" in image ? (found.shift() as ImagePrediction) : image));
    });
    this.#prepared = prepared;
    this.#forwards = [last, forward.catch(() => {})];
    return forward;
  }

  /** Frees a model when all that loaded it have freed it. */
  async free(key: string): Promise<void> {
    const [, last] = this.#forwards;
    const done = last.then(() => {
      const entry = this.#model(key);
      if (--entry.users > 0) return;
      this.#models.delete(key);
      entry.predictor.dispose();
    });
    this.#forwards = [last, done];
    await done;
  }

  #model(key: string): { predictor: Predictor; users: number } {
    const entry = this.#models.get(key);
    if (entry === undefined) throw new InternalError("The model of a request is not in the prediction thread");
    return entry;
  }
}

/** Images at the model's size; for those that cannot be read, why. */
async function prepare(
  predictor: Predictor,
  images: readonly ImageSource[],
  options: DetectOptions,
): Promise<(SquareImage | SentError)[]> {
  const prepared: (SquareImage | SentError)[] = [];
  for (let at = 0; at < images.length; at += decodedTogether)
    prepared.push(
      ...(await Promise.all(
        images.slice(at, at + decodedTogether).map((image) =>
          decode(image, options.autoOrient)
            .then((pixels) => predictor.toSquare(pixels, options))
            .catch((error: unknown) => packError(error)),
        ),
      )),
    );
  return prepared;
}
