// The library's face: one class that trains, evaluates and detects. The command line is a thin shell over the same
// parts.
import type { CocoSummary } from "./eval/coco/coco-summary.js";
import type { Detection } from "./model/types.js";
import type { ImageSource } from "./predict/picture.js";
import type { Predictor } from "./predict/predict.js";
import { TrainRun } from "./run/train-run.js";
import { resolveSettings } from "./settings/resolve.js";
import type { TrainOptions } from "./settings/settings.js";
import { CheckpointError } from "./support/errors.js";
import { abortSignal, checkOptions, count, oneOf, plainObject, share, text } from "./support/options.js";

/** What a detector is made with. */
export interface DetectorOptions {
  /**
   * Weights file, the folder of a run, or the name of published weights such as `nano`: what is detected with, and what training starts
   * from. Without one the model has random weights.
   */
  weights?: string;
  /** `auto` (the default) follows the hardware; `true` means `auto`, `false` means `32-true`. */
  precision?: "auto" | "32-true" | "bf16-mixed" | "16-mixed" | boolean;
  /** `auto`, `cpu` or `cuda:N`. */
  device?: string;
}

/** What the options of `create` accept. */
const detectorOptions = {
  weights: text,
  precision: oneOf("auto", "32-true", "bf16-mixed", "16-mixed", true, false),
  device: text,
};

/**
 * A detector: trains, evaluates and detects.
 * @example
 * import { RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano", { weights: "best.safetensors" });
 * const detections = await detector.predict("bird.jpg", { threshold: 0.5 });
 */
export class RFDETR {
  #predictor: Promise<Predictor> | null = null;
  #weights: string | null;

  private constructor(
    /** Variant: `nano`, `small`, `medium`, `base`, `large`, … */
    readonly model: string,
    readonly options: DetectorOptions,
  ) {
    this.#weights = options.weights ?? null;
  }

  /** @throws an error with a `code` when the variant is unknown or the weights are not there. */
  static async create(model: string, options: DetectorOptions = {}): Promise<RFDETR> {
    const { resolveModel } = await import("./model/variants.js");
    resolveModel(model);
    checkOptions("RFDETR.create", options, detectorOptions);
    if (options.weights === undefined) return new RFDETR(model, options);
    const { resolveWeights } = await import("./weights/published-weights.js");
    const weights = await resolveWeights(options.weights);
    return new RFDETR(model, { ...options, weights });
  }

  /** Weights that this detector uses now: those it was made with, or the best of its last training. */
  get weights(): string | null {
    return this.#weights;
  }

  /**
   * Starts training in a worker thread. Iterate the run for its events, await `run.result` for its end; afterwards this
   * detector uses the best weights, or the last ones where none are the best. A failure that nobody iterates or awaits
   * is an unhandled rejection.
   * @throws ConfigError at once for settings that cannot be.
   */
  train(options: TrainOptions & { data?: string; signal?: AbortSignal }): TrainRun {
    const { data, signal, ...settings } = plainObject<typeof options>("train", options);
    checkOptions("train", { signal }, { signal: abortSignal });
    const precision = this.options.precision;
    const config = resolveSettings({
      model: this.model,
      weights: this.#weights,
      ...(typeof precision === "boolean" ? { amp: precision } : precision === undefined ? {} : { precision }),
      ...(this.options.device === undefined ? {} : { device: this.options.device }),
      ...(data === undefined ? {} : { datasetDir: data }),
      ...settings,
    });
    return TrainRun.start(config, {
      ...(signal === undefined ? {} : { signal }),
      ended: ({ best, last }) => {
        if (best === null && last === null) return;
        this.#weights = best ?? last;
        this.#predictor = null;
      },
    });
  }

  /** Detections of an image above `threshold` (default 0.5), best first, boxes in its pixels. */
  async predict(image: ImageSource, options: { threshold?: number } = {}): Promise<Detection[]> {
    checkOptions("predict", options, { threshold: share });
    return (await (await this.#load()).detect(image, options)).detections;
  }

  /** COCO figures on a split of a dataset. */
  async evaluate(options: { data: string; split?: "valid" | "test"; batch?: number }): Promise<CocoSummary> {
    checkOptions("evaluate", options, { data: text, split: oneOf("valid", "test"), batch: count }, ["data"]);
    const { evaluateWeights } = await import("./eval/evaluate-weights.js");
    const { summary } = await evaluateWeights(this.#trained(), {
      data: options.data,
      split: options.split ?? "valid",
      batch: options.batch ?? 4,
      precision: this.options.precision ?? "auto",
      device: this.options.device ?? "auto",
    });
    return summary;
  }

  #load(): Promise<Predictor> {
    const weights = this.#trained();
    this.#predictor ??= import("./predict/predict.js").then(({ Predictor }) => Predictor.load(weights, this.options));
    return this.#predictor;
  }

  #trained(): string {
    if (this.#weights === null)
      throw new CheckpointError(
        `This ${this.model} detector has no weights: give some to RFDETR.create, or train it first`,
      );
    return this.#weights;
  }
}
