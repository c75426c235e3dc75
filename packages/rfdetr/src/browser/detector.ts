// `RFDETR` of `rfdetr/browser`: the class that loads an exported file and detects.
import { resizePixels } from "../eval/pixels.js";
import type { Detection } from "../model/types.js";
import type { BestBelow } from "../onnx/detections.js";
import { areUsable, listBelow, listDetections, rowNames, selectBoxes } from "../onnx/detections.js";
import { type ExportedModel, namesOf } from "../onnx/exported-model.js";
import { runBatches } from "../onnx/run-batches.js";
import type { RecordedThresholds } from "../support/recorded-thresholds.js";
import type { Runtime, Session } from "./backend.js";
import { type ChooseOptions, chooseBackend, type LoadReport } from "./choose-backend.js";
import { fetchFile } from "./fetch-file.js";
import { type ImageInput, readPixels } from "./image-pixels.js";
import { checkNames } from "./options.js";
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
  /** Detections with a score above this are reported; default 0.5. */
  threshold?: number;
  /** As in Node; default: as the file was trained. */
  antialias?: boolean;
}

const loadOptions: readonly (keyof LoadOptions)[] = [
  ...(["backend", "classNames", "trying", "runtimeFolder", "threads"] as const),
  ...(["gatherForm", "progress", "signal", "runtime"] as const),
];
const predictOptions: readonly (keyof PredictOptions)[] = ["threshold", "antialias"];

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
   * @throws Error if the file cannot be fetched, is no detector, if nothing runs it rightly, or for a name that is no
   * option
   */
  static async load(file: string | URL | Uint8Array, options: LoadOptions = {}): Promise<RFDETR> {
    checkNames("RFDETR.load", options, loadOptions);
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
   * @throws Error if the browser cannot decode the image, or may not read it, or for a name that is no option
   */
  async predict(image: ImageInput, options: PredictOptions = {}): Promise<Detection[]> {
    return (await this.detect(image, options)).detections;
  }

  /** As {@link predict}, with the size of the image and the time that it took. */
  async detect(image: ImageInput, options: PredictOptions = {}): Promise<TimedDetections> {
    checkNames("predict", options, predictOptions);
    const { threshold = 0.5, antialias } = options;
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
    const found = selectBoxes(outputs, source, numSelect, threshold);
    if (!areUsable(outputs, found))
      throw new Error("Expected finite scores and boxes but the model gives NaN or infinity");
    const rows = outputs.logits.length / (outputs.boxes.length / 4);
    const names = rowNames(this.classNames, rows);
    const detections = listDetections(found, names, threshold);
    const best = detections.length > 0 ? undefined : listBelow(found, names, threshold).at(0);
    const milliseconds = { pixels: read - began, model: ran - read, results: performance.now() - ran };
    const below = best === undefined ? {} : { bestBelow: { ...best, threshold } };
    return { width, height, detections, ...below, milliseconds };
  }

  /** Frees the memory. The detector cannot be used afterwards. */
  async dispose(): Promise<void> {
    await this.#last;
    await this.#session.release();
  }
}
