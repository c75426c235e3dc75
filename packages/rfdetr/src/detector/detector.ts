// `RFDETR`: the class that trains, evaluates and detects. The command line is a thin shell over the same parts.
import type { CocoSummary } from "../eval/coco/coco-summary.js";
import type { ExportResult } from "../export/export-onnx.js";
import type { Detection } from "../model/types.js";
import { isExported } from "../onnx/exported-model.js";
import { type ImageInput, isMany } from "../predict/inputs/image-input.js";
import { imageList } from "../predict/inputs/inputs.js";
import {
  type DetectBatch,
  Predictions,
  type PredictManyOptions,
  type PredictOptions,
  predictOne,
  predictText,
  type TextPredictions,
} from "../predict/predictions.js";
import type { ModelInfo } from "../predict/types.js";
import { type Video, type VideoFrame, video } from "../predict/video/video.js";
import { isVideoName, type VideoName } from "../predict/video/video-name.js";
import type { TrainRun } from "../run/train-run.js";
import { startWeights } from "../settings/start-weights.js";
import { CheckpointError, UsageError } from "../support/errors.js";
import { checkOptions, plainObject } from "../support/options.js";
import { DetectorModel, pathOfWeights } from "./detector-model.js";
import { type DetectorOptions, detectorOptions } from "./detector-options.js";
import { type DetectorEvaluateOptions, evaluateDetector } from "./evaluate.js";
import { type DetectorExportOptions, exportDetector } from "./export.js";
import { predictManyOptions, predictOptions } from "./predict-options.js";
import { type ResumeOptions, resumeTraining } from "./resume.js";
import { type DetectorTrainOptions, startTraining } from "./train.js";

/**
 * A detector: trains, evaluates and detects. Its model lives in a thread of its own, so that the thread of the caller
 * stays free.
 * @example
 * import { RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano", { weights: "best.safetensors" });
 * const detections = await detector.predict("bird.jpg", { threshold: 0.5 });
 */
export class RFDETR {
  readonly #detectorModel: DetectorModel;
  /** Variant: `nano`, `small`, `medium`, `base`, `large`, … */
  readonly model: string;
  readonly options: DetectorOptions;

  private constructor(detectorModel: DetectorModel) {
    this.#detectorModel = detectorModel;
    this.model = detectorModel.name;
    this.options = detectorModel.options;
  }

  /**
   * Makes a detector of a variant. Its weights are loaded by {@link load} or the first prediction. Without `weights`
   * they are those published for the variant, and are downloaded when they are first needed; `weights: "none"` trains
   * from random ones.
   * @throws ModelConfigError for an unknown variant
   * @throws UsageError for a wrong option
   * @throws CheckpointError if the weights are not there, or are of another variant
   */
  static async create(model: string, options: DetectorOptions = {}): Promise<RFDETR> {
    const { architectureOf, resolveModel } = await import("../model/variants.js");
    const wanted = architectureOf(resolveModel(model));
    checkOptions("RFDETR.create", options, detectorOptions);
    refuseNames(options, `the ${model} that is made`);
    const start = startWeights(model, options.weights);
    if (options.weights === undefined || start === null) return new RFDETR(new DetectorModel(model, options));
    const weights = await pathOfWeights(start, model);
    if (isExported(weights))
      throw new CheckpointError(`Expected weights but ${weights} is an exported file: load it with RFDETR.load`);
    const { readModelConfig } = await import("../weights/weights.js");
    const found = readModelConfig(weights);
    if (architectureOf(found) !== wanted)
      throw new CheckpointError(
        `Expected weights of ${model} but ${weights} are those of ${found.variant}: make the detector with RFDETR.load`,
      );
    return new RFDETR(new DetectorModel(model, { ...options, weights }));
  }

  /**
   * Makes a detector of the variant that the weights have, and loads them. A file that was exported (`.onnx`) runs in
   * onnxruntime-node, without libtorch; it cannot be trained.
   * @param weights file, or the name of published weights
   * @throws CheckpointError if the weights are not there, or cannot be read
   * @example
   * import { RFDETR } from "rfdetr";
   * await using detector = await RFDETR.load("runs/birds/weights/best.safetensors");
   * console.log(detector.model, detector.classNames, await detector.predict("bird.jpg"));
   */
  static async load(weights: string, options: Omit<DetectorOptions, "weights"> = {}): Promise<RFDETR> {
    const given = plainObject("RFDETR.load", options);
    checkOptions("RFDETR.load", { ...given, weights }, detectorOptions, ["weights"]);
    const found = await pathOfWeights(weights);
    if (!isExported(found)) refuseNames(options, found);
    return new RFDETR(await DetectorModel.load(found, options));
  }

  /**
   * Weights that this detector uses now: those it was made with, or the best of its last training. `coco` until the
   * published ones are needed; null for random ones.
   */
  get weights(): string | null {
    return this.#detectorModel.weights;
  }

  /** Names of the classes by class id; null until the weights are loaded. */
  get classNames(): readonly string[] | null {
    return this.#detectorModel.info?.classNames ?? null;
  }

  /**
   * What images are resized to, in pixels: the side of a square, or height and width where an exported file sees
   * rectangles; null until the weights are loaded.
   */
  get resolution(): ModelInfo["resolution"] | null {
    return this.#detectorModel.info?.resolution ?? null;
  }

  /**
   * Loads the weights now rather than at the first prediction.
   * @returns what is known of the model, such as the precision that `auto` chose
   * @throws CheckpointError if the weights cannot be read, or are those of another variant
   */
  async load(): Promise<ModelInfo> {
    return this.#detectorModel.with(({ info }) => info);
  }

  /**
   * Starts training in a worker thread, or in several processes with `processes`. Iterate the run for its events, await
   * `run.result` for its end; afterwards this detector uses the best weights, or the last ones where none are the best.
   * A failure that nobody iterates or awaits is an unhandled rejection.
   * @throws ConfigError at once for settings that cannot be, UsageError for other options that cannot
   * @example
   * import { type CustomDataset, RFDETR } from "rfdetr";
   * const files = ["a.jpg", "b.jpg"];
   * const train: CustomDataset = {
   *   length: files.length,
   *   get: async (index) => ({ image: files[index], boxes: [[9, 9, 90, 60]], labels: ["owl"] }),
   * };
   * const detector = await RFDETR.create("nano");
   * const { best } = await detector.train({ data: { train, valid: train }, epochs: 50 }).result;
   */
  train(options: DetectorTrainOptions): TrainRun {
    return startTraining(this.#detectorModel, options);
  }

  /**
   * Continues a run in a worker thread, from its last checkpoint and with its own settings; see {@link train}.
   * @param run folder of the run
   * @throws UsageError for an option that a continued run does not have
   * @throws RunDirectoryError if the folder is not that of a run; what else is wrong comes through `result`
   * @example
   * import { RFDETR } from "rfdetr";
   * const run = await RFDETR.resume("runs/birds", { epochs: 80 });
   * for await (const event of run) if (event.type === "epoch") console.log(event.epoch, event.loss);
   */
  static async resume(run: string, options: ResumeOptions = {}): Promise<TrainRun> {
    return resumeTraining(run, options);
  }

  /**
   * Detects objects in the frames of a video, a camera (`camera:0`, `/dev/video0`) or a stream (`rtsp://…`), which the
   * ffmpeg on the PATH reads; {@link video} chooses frames. A name that TypeScript does not know by its letters is
   * text as any other.
   * @throws VideoError while it is iterated: where there is no ffmpeg, and, after its good frames, where it is broken
   * @example
   * for await (const { source, detections } of detector.predict("traffic.mp4", { threshold: 0.4 }))
   *   console.log(source.frame, source.seconds, detections.length);
   */
  predict(video: VideoName | Video, options?: PredictManyOptions): Predictions<VideoFrame, never>;
  /**
   * Detects objects in what text names: an image, by its path or address, all images of a folder or a pattern (see
   * `imageFiles`), or a video. An image is awaited for its detections. All of them can be iterated, with a result
   * for each image or frame; awaiting a folder, a pattern or a video is refused with an error that says so. A server
   * that takes addresses or paths from strangers must check them first.
   * @throws PictureError if an image cannot be read, or downloaded
   * @throws DataError if a folder or a pattern has no image
   * @throws UsageError for a wrong option, or where several images are awaited
   * @example
   * const detections = await detector.predict("bird.jpg");
   * for await (const { source, detections } of detector.predict("photos/*.jpg", { batch: 8, onError: "return" }))
   *   console.log(source, detections.length);
   */
  predict(source: string, options?: PredictManyOptions): TextPredictions;
  /**
   * Detects objects in an image: its detections above `threshold` (default 0.5), best first, boxes in its pixels. Runs
   * in a thread of its own. An image may be at an `http:` or `https:` address, which is downloaded. Detections of a
   * model with a segmentation head have a `mask` at the size of the image; `rfdetr/masks` reads it.
   * @throws PictureError if the image cannot be read, or downloaded
   * @throws CheckpointError if the weights cannot be loaded
   * @throws UsageError for a wrong option, the name of a class that the model does not have, or a recorded threshold
   * that its weights lack
   * @example
   * const found = await detector.predict("bird.jpg", { threshold: "best" }); // as the evaluation of the training found
   * @example
   * const signal = AbortSignal.timeout(10_000);
   * const threshold = { "*": 0.5, heron: 0.3 };
   * const birds = await detector.predict("https://example.org/pond.jpg", { threshold, maxDetections: 20, signal });
   * @example
   * import { decodeMask, maskArea } from "rfdetr/masks";
   * for (const { className, mask } of await detector.predict("bird.jpg")) {
   *   if (mask === undefined) continue; // the model has no segmentation head
   *   const bits = decodeMask(mask); // [height × width], row by row: 1 for the object
   *   console.log(className, maskArea(mask), "pixels", bits[10 * mask.width + 20] === 1);
   * }
   */
  predict(image: ImageInput, options?: PredictOptions): Promise<Detection[]>;
  /**
   * Detects objects in many images, in their order: see {@link Predictions}. Images of an iterable are taken no further
   * ahead than two batches.
   * @example
   * for await (const { source, detections, error } of detector.predict(sources, { batch: 8, onError: "return" }))
   *   console.log(source, error?.message ?? detections);
   */
  predict<Source extends ImageInput>(
    images: Iterable<Source> | AsyncIterable<Source>,
    options?: PredictManyOptions,
  ): Predictions<Source>;
  predict(
    images: ImageInput | Iterable<ImageInput> | AsyncIterable<ImageInput>,
    options: PredictManyOptions = {},
  ): Promise<Detection[]> | Predictions<ImageInput, unknown> {
    if (typeof images === "string" && isVideoName(images)) {
      checkOptions("predict", options, predictManyOptions);
      const { autoOrient } = options;
      return this.predict(video(images, autoOrient === undefined ? {} : { autoOrient }), options);
    }
    const list = typeof images === "string" ? imageList(images) : null;
    if (list !== null) return this.predict(list, options);
    const detect: DetectBatch = (batch, settings, signal, lend) =>
      this.#detectorModel.with((model) => model.detect(batch, settings, signal, lend));
    const checked = (): PredictManyOptions => {
      checkOptions("predict", options, predictManyOptions);
      return options;
    };
    if (typeof images === "string") return predictText(images, checked, detect);
    if (!isMany(images)) return this.#predictOne(images, options, detect);
    checked();
    return new Predictions(images, options, detect);
  }

  async #predictOne(image: ImageInput, options: PredictOptions, detect: DetectBatch): Promise<Detection[]> {
    checkOptions("predict", options, predictOptions);
    return predictOne(image, options, detect);
  }

  /**
   * COCO figures on a split of a dataset.
   * @throws DataError if the split cannot be read, or has a class that the weights do not know
   */
  async evaluate(options: DetectorEvaluateOptions): Promise<CocoSummary> {
    return evaluateDetector(this.#detectorModel, options);
  }

  /**
   * Writes the weights as an ONNX file, in a thread of its own, and proves it: onnxruntime-node runs the file on
   * images, and its detections are held to those of the weights in float32.
   * @returns what was written, and how far it is from the weights; `proof` is null where onnxruntime-node is not
   * installed
   * @throws UsageError if the file exists
   * @throws ModelConfigError if the model cannot have the resolution
   * @throws DataError if the dataset cannot be used
   * @throws ExportError if the file disagrees with the weights; nothing is left of it then
   * @example
   * const { proof } = await detector.export({ out: "bird.onnx", data: "birds/" });
   * console.log(proof?.max_box_error_px);
   */
  async export(options: DetectorExportOptions = {}): Promise<ExportResult> {
    return exportDetector(this.#detectorModel, options);
  }

  /**
   * Frees the memory of the model, after the images that it was sent. The detector cannot predict afterwards. Without
   * this, the memory is freed when the detector is garbage.
   */
  async dispose(): Promise<void> {
    await this.#detectorModel.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** @throws UsageError for names that nobody would use: weights have those of the data that they were trained on */
function refuseNames({ classNames }: DetectorOptions, given: string): void {
  if (classNames !== undefined)
    throw new UsageError(
      `Expected classNames for an exported file only but received them for ${given}: leave them out`,
    );
}
