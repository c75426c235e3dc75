// The models of the prediction thread. Detectors of the same weights and precision share one.
import { statSync } from "node:fs";
import { isExported } from "../../onnx/exported-model.js";
import type { ImageSource } from "../../pictures/picture.js";
import { packError, type SentError } from "../../support/error-transfer.js";
import { InternalError } from "../../support/errors.js";
import { knownOptions } from "../known-options.js";
import { detectPrepared, type PreparedImage, prepareSource } from "../prepared-image.js";
import { checkSelection } from "../selection.js";
import type {
  DetectOptions,
  HostedModel,
  ImagePrediction,
  KnownDetectOptions,
  ModelInfo,
  ModelRequest,
} from "../types.js";

interface Hosted {
  /** The file of the model. */
  weights: string;
  predictor: HostedModel;
  warnings: readonly string[];
}

/** Pictures that are decoded at a time; libuv has four threads for it. */
const decodedTogether = 4;

/** Loads models, and runs them in the order of the requests. */
export class ModelHost {
  readonly #models = new Map<string, { hosted: Promise<Hosted>; users: number }>();
  /** Ends when the images of the last request are prepared. */
  #prepared: Promise<unknown> = Promise.resolve();
  /** End when the last two requests have been through their models. */
  #forwards: [Promise<unknown>, Promise<unknown>] = [Promise.resolve(), Promise.resolve()];

  /** Loads a model, unless it is there. Every call needs a {@link free} later. @throws CheckpointError, ConfigError */
  async load(request: ModelRequest): Promise<{ key: string; info: ModelInfo }> {
    const file = statSync(request.weights, { throwIfNoEntry: false });
    const key = JSON.stringify([request, file?.dev, file?.ino, file?.size, file?.mtimeMs]);
    let entry = this.#models.get(key);
    if (entry === undefined) {
      entry = { hosted: open(request), users: 0 };
      this.#models.set(key, entry);
    }
    entry.users++;
    try {
      const { predictor, warnings } = await entry.hosted;
      return { key, info: { ...predictor.info, warnings } };
    } catch (error) {
      this.#models.delete(key);
      throw error;
    }
  }

  /**
   * Detects objects in a batch of images. While a batch goes through a model, the images of the next are decoded.
   * @param signal drops the request, unless its images are in the model already
   * @returns for each image what was found, or why it cannot be read
   * @throws NumericsError if the model's results are not finite
   * @throws UsageError for the name of a class that the model does not have, or a recorded threshold that it lacks
   * @throws ModelConfigError for a shape that the model cannot see
   * @throws ConfigError if there is no memory for the batch
   */
  async detect(
    key: string,
    images: readonly ImageSource[],
    asked: DetectOptions,
    signal?: AbortSignal,
  ): Promise<(ImagePrediction | SentError)[]> {
    const { predictor, weights } = await this.#model(key).hosted;
    const options = await knownOptions(asked, predictor.info.thresholds, weights);
    checkSelection(options, predictor.info.classNames);
    if (options.shape !== undefined) predictor.checkShape(options.shape);
    predictor.checkMemory(images.length, options.shape);
    const [secondLast, last] = this.#forwards;
    const prepared = Promise.all([this.#prepared, secondLast]).then(() =>
      signal?.aborted ? [] : prepare(predictor, images, options),
    );
    const forward = Promise.all([prepared, last]).then(async ([all]) => {
      signal?.throwIfAborted();
      const good = all.filter((image): image is Prepared => "squares" in image);
      const found = await detectPrepared(predictor, good, options, images.length, signal);
      return all.map((image) => ("squares" in image ? (found.shift() as ImagePrediction | SentError) : image));
    });
    this.#prepared = prepared;
    this.#forwards = [last, forward.catch(() => {})];
    return forward;
  }

  /** Frees a model when all that loaded it have freed it. */
  async free(key: string): Promise<void> {
    const [, last] = this.#forwards;
    const done = last.then(async () => {
      const entry = this.#model(key);
      if (--entry.users > 0) return;
      this.#models.delete(key);
      await (await entry.hosted).predictor.dispose();
    });
    this.#forwards = [last, done];
    await done;
  }

  #model(key: string): { hosted: Promise<Hosted>; users: number } {
    const entry = this.#models.get(key);
    if (entry === undefined) throw new InternalError("The model of a request is not in the prediction thread");
    return entry;
  }
}

/** Loads the engine of the file with it, and not the other one. */
async function open(request: ModelRequest): Promise<Hosted> {
  const warnings: string[] = [];
  if (isExported(request.weights)) {
    const { OnnxPredictor } = await import("./onnx-predictor.js");
    return { weights: request.weights, predictor: await OnnxPredictor.load(request), warnings };
  }
  const { Predictor } = await import("../predict.js");
  const { classNumbering, weights } = request;
  const reading = { classNumbering, warn: (message: string) => void warnings.push(message) };
  return { weights, predictor: Predictor.load(weights, { ...request, reading }), warnings };
}

/** An image that is ready for a model. It may turn out on the way that it cannot be read. */
type Prepared = PreparedImage<ImagePrediction | SentError>;

/** Images that are ready for the model; for those that cannot be read, why. */
async function prepare(
  predictor: HostedModel,
  images: readonly ImageSource[],
  options: KnownDetectOptions,
): Promise<(Prepared | SentError)[]> {
  const prepared: (Prepared | SentError)[] = [];
  for (let at = 0; at < images.length; at += decodedTogether)
    prepared.push(
      ...(await Promise.all(
        images.slice(at, at + decodedTogether).map((image) =>
          prepareSource(predictor, image, options)
            .then(({ squares, finish }) => ({ squares, finish: orError(finish) }))
            .catch((error: unknown) => packError(error)),
        ),
      )),
    );
  return prepared;
}

/** Gives the error that a function throws. */
const orError =
  <T, R>(act: (given: T) => R) =>
  (given: T): R | SentError => {
    try {
      return act(given);
    } catch (error) {
      return packError(error);
    }
  };
