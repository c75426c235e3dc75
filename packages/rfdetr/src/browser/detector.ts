// `RFDETR` of `rfdetr/browser`: the class that loads an exported file and detects.
import { resizePixels } from "../eval/pixels.js";
import type { Detection } from "../model/types.js";
import type { BestBelow } from "../onnx/detections.js";
import { areUsable, listBelow, listDetections, rowNames, selectBoxes } from "../onnx/detections.js";
import { type ExportedModel, namesOf } from "../onnx/exported-model.js";
import { isCount } from "../onnx/metadata.js";
import { runBatches } from "../onnx/run-batches.js";
import type { RecordedThresholds } from "../support/recorded-thresholds.js";
import {
  areThresholds,
  lowestThreshold,
  namesIn,
  shortList,
  type Thresholds,
  thresholdFor,
  thresholdsTake,
  unknownClass,
} from "../support/thresholds.js";
import type { Runtime, Session } from "./backend.js";
import { type ChooseOptions, chooseBackend, type LoadReport } from "./choose-backend.js";
import { fetchFile } from "./fetch-file.js";
import { type ImageInput, readPixels } from "./image-pixels.js";
import { address, checkOptions, checkValue, file as fileKind, type OptionKinds, typed } from "./options.js";
import { type RuntimeOptions, webRuntime } from "./runtime.js";

/** What a detector is loaded with. */
export interface LoadOptions extends ChooseOptions, RuntimeOptions {
  /**
   * The same detector exported without GridSample: it is fetched only where WebGPU lacks that operator, or computes it
   * wrongly.
   */
  gatherForm?: string | URL | Uint8Array;
  /** Called with the bytes of the file that are there, and their number in all; null if the server does not say. */
  progress?: (bytes: number, total: number | null) => void;
  /** Stops the download. */
  signal?: AbortSignal;
  /** What runs the file; default onnxruntime-web. */
  runtime?: Runtime;
}

/** What is detected, and how images are resized. */
export interface PredictOptions {
  /**
   * Detections with a score above this are reported; default 0.5. By class name, each class has its own; `*` is that
   * of all others, which is 0.5 if it is left out. The best that are known are {@link RFDETR.thresholds}.
   */
  threshold?: Thresholds;
  /** As in Node; default: as the file was trained. */
  antialias?: boolean;
}

const action = typed("function");
const loadOptions: OptionKinds<LoadOptions> = {
  backend: ["auto, webgpu or wasm", (value) => ["auto", "webgpu", "wasm"].includes(value as string)],
  classNames: ["list of texts", (value) => Array.isArray(value) && value.every((name) => typeof name === "string")],
  trying: action,
  runtimeFolder: address,
  threads: ["positive integer", isCount],
  gatherForm: fileKind,
  progress: action,
  signal: ["AbortSignal", (value) => value instanceof AbortSignal],
  runtime: typed("object"),
};
const predictOptions: OptionKinds<PredictOptions> = {
  threshold: [thresholdsTake, areThresholds],
  antialias: typed("boolean", "true or false"),
};

/** The detections in an image, and how long each part of the work took. */
export interface TimedDetections {
  width: number;
  height: number;
  /** Best first, boxes in pixels of the image. */
  detections: Detection[];
  /** The best of an image without detections, and the threshold that it is not above. */
  bestBelow?: BestBelow;
  /** For reading and resizing the pixels, for the model, and for its results. */
  milliseconds: { pixels: number; model: number; results: number };
}

/**
 * A detector in the browser, in a page or a worker.
 * @example
 * import { RFDETR } from "rfdetr/browser";
 * const detector = await RFDETR.load("bird.onnx");
 * console.log(detector.report.backend, detector.report.error);
 * const detections = await detector.predict(document.querySelector("img") as HTMLImageElement, { threshold: 0.5 });
 */
export class RFDETR {
  readonly #session: Session;
  readonly #model: ExportedModel;
  /** Ends with the run before: a session takes one at a time. */
  #last: Promise<unknown> = Promise.resolve();
  /** Images that are read or run. */
  readonly #pending = new Set<Promise<unknown>>();
  #end: Promise<void> | null = null;

  private constructor(
    session: Session,
    model: ExportedModel,
    /** By class id. */
    readonly classNames: readonly string[],
    readonly report: LoadReport,
  ) {
    this.#session = session;
    this.#model = model;
  }

  /**
   * Loads an exported file, runs the goldens that it carries, and takes the first of WebGPU, WebGPU with the gather
   * form and WebAssembly that gives them.
   * @param file its address, or its bytes
   * @throws Error if the file cannot be fetched, is no detector, if nothing runs it rightly, or for a wrong option
   */
  static async load(file: string | URL | Uint8Array, options: LoadOptions = {}): Promise<RFDETR> {
    checkOptions("RFDETR.load", options, loadOptions);
    checkValue("the file", file, fileKind);
    const { gatherForm, progress, signal, runtime = webRuntime(options) } = options;
    const bytesOf = async (source: string | URL | Uint8Array): Promise<Uint8Array> =>
      source instanceof Uint8Array ? source : fetchFile(source, progress, signal);
    const { session, model, attempts } = await chooseBackend(
      await bytesOf(file),
      gatherForm === undefined ? null : () => bytesOf(gatherForm),
      runtime,
      options,
    );
    const { backend, form, error } = attempts[attempts.length - 1];
    const rows = session.labelsShape?.[2];
    return new RFDETR(session, model, namesOf(model, typeof rows === "number" ? rows : null), {
      backend,
      form,
      precision: model.precision,
      error,
      attempts,
      threads: backend === "wasm" ? runtime.threads : 1,
    });
  }

  /** Name of the variant, such as `nano`. */
  get model(): string {
    return this.#model.variant;
  }

  /** Height and width in pixels that images are resized to. */
  get resolution(): readonly [height: number, width: number] {
    return this.#model.resolution;
  }

  /** The thresholds that the evaluation of the training found best, `*` for all classes; null where it has none. */
  get thresholds(): RecordedThresholds | null {
    return this.#model.thresholds;
  }

  /** Whether detections have masks; of a file of another program it is not known before the first. */
  get masks(): boolean {
    return this.#model.masks !== null;
  }

  /**
   * Detects objects in an image: its detections above `threshold` (default 0.5), best first, boxes in its pixels.
   * @throws Error if the browser cannot decode the image, or may not read it, for a wrong option, or after
   * {@link dispose}
   */
  async predict(image: ImageInput, options: PredictOptions = {}): Promise<Detection[]> {
    return (await this.detect(image, options)).detections;
  }

  /** As {@link predict}, with the size of the image and the time that it took. */
  async detect(image: ImageInput, options: PredictOptions = {}): Promise<TimedDetections> {
    checkOptions("predict", options, predictOptions);
    const { threshold = 0.5, antialias } = options;
    const name = unknownClass(namesIn(threshold), this.classNames);
    if (name !== undefined)
      throw new Error(`Expected a class of the model (${shortList(this.classNames)}) but received ${name}`);
    if (this.#end !== null)
      throw new Error(`Expected a detector that is in use but this ${this.model} was disposed of`);
    const found = this.#detect(image, threshold, antialias);
    this.#pending.add(found);
    return found.finally(() => this.#pending.delete(found));
  }

  async #detect(image: ImageInput, threshold: Thresholds, antialias: boolean | undefined): Promise<TimedDetections> {
    const began = performance.now();
    const { preprocessing, resolution, numSelect } = this.#model;
    const source = await readPixels(image);
    const pixels = resizePixels(source, resolution, { antialias: antialias ?? preprocessing.antialias });
    const read = performance.now();
    const run = this.#last.then(() => runBatches(this.#model, [pixels], this.#session.run));
    this.#last = run.catch(() => {});
    const [outputs] = await run;
    const ran = performance.now();
    const { width, height } = source;
    const [lowest, least] = [lowestThreshold({ threshold }), thresholdFor({ threshold })];
    const found = selectBoxes(outputs, source, numSelect, lowest);
    if (!areUsable(outputs, found))
      throw new Error("Expected finite scores and boxes but the model gives NaN or infinity");
    const rows = outputs.logits.length / (outputs.boxes.length / 4);
    const names = rowNames(this.classNames, rows);
    const all = listDetections(found, names, lowest);
    const detections = all.filter(({ score, className }) => score > least(className));
    const [best] = detections.length > 0 ? [] : [...all, ...listBelow(found, names, lowest)];
    const milliseconds = { pixels: read - began, model: ran - read, results: performance.now() - ran };
    if (best === undefined) return { width, height, detections, milliseconds };
    const { classId, className, score } = best;
    const bestBelow = { classId, className, score, threshold: least(className) };
    return { width, height, detections, bestBelow, milliseconds };
  }

  /** Frees the memory, after the images that it was given. The detector cannot predict afterwards. */
  async dispose(): Promise<void> {
    this.#end ??= Promise.allSettled(this.#pending).then(() => this.#session.release());
    await this.#end;
  }
}
