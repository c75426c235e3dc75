// The weights of a detector, and the model of them in its thread, which is loaded when it is needed.
import type { ModelInfo } from "../predict/types.js";
import { RemoteModel } from "../predict/worker/remote-model.js";
import { startWeights } from "../settings/start-weights.js";
import { CheckpointError, UsageError } from "../support/errors.js";
import type { DetectorOptions } from "./detector-options.js";

/** How a checkpoint is read. */
interface Reading {
  classNumbering: "auto" | "from0" | "from1";
  warn?: (message: string) => void;
}

/** A model that is loaded or being loaded, and what is done with it now: it is freed after that. */
interface HeldModel {
  model: Promise<RemoteModel>;
  uses: Set<Promise<unknown>>;
}

/**
 * The weights of a detector and their model in the prediction thread: loaded when it is first needed, replaced after a
 * training, freed with the detector.
 */
export class DetectorModel {
  #held: HeldModel | null = null;
  #info: ModelInfo | null = null;
  #weights: string | null;
  #disposed = false;

  constructor(
    /** Variant: `nano`, `small`, … */
    readonly name: string,
    readonly options: DetectorOptions,
  ) {
    this.#weights = startWeights(name, options.weights);
  }

  /**
   * The model of weights, already loaded.
   * @param weights path of the file
   * @throws CheckpointError if they cannot be read
   */
  static async load(weights: string, options: Omit<DetectorOptions, "weights">): Promise<DetectorModel> {
    const remote = await loadRemote(weights, options);
    const model = new DetectorModel(remote.info.model, { ...options, weights });
    model.#held = { model: Promise.resolve(remote), uses: new Set() };
    model.#info = remote.info;
    return model;
  }

  /** What is detected with now: a path, `coco` until the published weights are needed, or null for random ones. */
  get weights(): string | null {
    return this.#weights;
  }

  /** What is known of the model; null until it is loaded. */
  get info(): ModelInfo | null {
    return this.#info;
  }

  /** Takes other weights, such as those of a training, and frees the model of those before. */
  use(weights: string): void {
    this.#weights = weights;
    this.#free();
  }

  /** @throws UsageError if the detector was disposed of */
  checkUse(): void {
    if (this.#disposed)
      throw new UsageError(`Expected a detector that is in use but this ${this.name} was disposed of`);
  }

  /**
   * The path of the weights. Published ones are downloaded if need be.
   * @param signal ends the download
   * @throws CheckpointError where there are none
   * @throws UsageError if the detector was disposed of
   */
  async trained(signal?: AbortSignal): Promise<string> {
    this.checkUse();
    if (this.#weights === null)
      throw new CheckpointError(
        `This ${this.name} detector has no weights: give some to RFDETR.create, or train it first`,
      );
    if (this.#weights === "coco") this.#weights = await pathOfWeights("coco", this.name, signal);
    return this.#weights;
  }

  /**
   * Does something with the model, which is loaded now if it was not, and is not freed before that has ended.
   * @throws CheckpointError if the weights cannot be loaded
   * @throws UsageError if the detector was disposed of
   */
  async with<T>(act: (model: RemoteModel) => T | Promise<T>): Promise<T> {
    const weights = await this.trained();
    this.checkUse();
    this.#held ??= { model: this.#start(weights), uses: new Set() };
    const held = this.#held;
    const use = held.model.then((model) => (model.ended ? ended : act(model)));
    held.uses.add(use);
    try {
      const result = await use;
      if (result !== ended) return result;
    } finally {
      held.uses.delete(use);
    }
    if (this.#held === held) this.#held = null;
    return this.with(act);
  }

  /** How the weights are read that are used now. */
  reading(): Reading {
    const { classNumbering = "auto", weights, warn } = this.options;
    // Weights of an own training count from 0.
    return {
      classNumbering: this.#weights === weights ? classNumbering : "auto",
      ...(warn === undefined ? {} : { warn }),
    };
  }

  /** Frees the model for good. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#free();
  }

  async #free(): Promise<void> {
    const held = this.#held;
    this.#held = null;
    this.#info = null;
    try {
      await Promise.allSettled(held?.uses ?? []);
      await (await held?.model)?.free();
    } catch {
      // A model that did not load takes no memory.
    }
  }

  async #start(weights: string): Promise<RemoteModel> {
    try {
      const model = await loadRemote(weights, { ...this.options, ...this.reading() });
      this.#info = model.info;
      return model;
    } catch (error) {
      // The weights may be there later.
      this.#held = null;
      throw error;
    }
  }
}

/** Stands for the result of a model whose thread has ended. */
const ended = Symbol("ended");

async function loadRemote(
  weights: string,
  { precision = "auto", numberFormat, device = "auto", classNumbering = "auto", classNames, warn }: DetectorOptions,
): Promise<RemoteModel> {
  const given = {
    ...(classNames === undefined ? {} : { classNames }),
    ...(numberFormat === undefined ? {} : { numberFormat }),
  };
  const model = await RemoteModel.load({ weights, precision, device, classNumbering, ...given });
  for (const message of model.info.warnings) (warn ?? process.emitWarning)(message);
  return model;
}

/** The path of weights given by path or by the name of published ones. @throws CheckpointError if they are not there */
export async function pathOfWeights(weights: string, model?: string, signal?: AbortSignal): Promise<string> {
  const { resolveWeights } = await import("../weights/published/published-weights.js");
  return resolveWeights(weights, { ...(model === undefined ? {} : { model }), ...(signal && { signal }) });
}
