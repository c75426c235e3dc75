// A model in the prediction thread, as the other threads see it. A process has one such thread.
import { Worker } from "node:worker_threads";
import { endOfThread, type SentError, unpackError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import { letThreadsSleep } from "../support/openmp.js";
import { workerFlags, workerScript } from "../support/worker-path.js";
import type { ImageSource } from "./picture.js";
import type { DetectOptions, ImagePrediction, ModelInfo, ModelRequest } from "./types.js";

/** What the prediction thread receives. */
export type Request =
  | { type: "load"; id: number; model: ModelRequest }
  | { type: "detect"; id: number; key: string; images: ImageSource[]; options: DetectOptions }
  | { type: "free"; id: number; key: string };

type Unsent<T> = T extends Request ? Omit<T, "id"> : never;

/** What the prediction thread sends. */
export type Reply = { id: number; value: unknown } | { id: number; error: SentError };

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
}

class PredictionThread {
  static #current: PredictionThread | null = null;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  ended = false;

  /** The thread of this process, started when it is first needed. */
  static get(): PredictionThread {
    if (PredictionThread.#current === null || PredictionThread.#current.ended)
      PredictionThread.#current = new PredictionThread();
    return PredictionThread.#current;
  }

  private constructor() {
    letThreadsSleep();
    const script = workerScript(import.meta.url, "predict-worker.js");
    this.#worker = new Worker(script, workerFlags());
    this.#worker.unref();
    this.#worker.on("message", (reply: Reply) => this.#settle(reply));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", (code) => this.#end(new InternalError(`The prediction thread ended with code ${code}`)));
  }

  /** Sends a request. The process stays alive until its answer is there. */
  ask<T>(request: Unsent<Request>): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ ...request, id });
    });
  }

  /** Frees a model, unless it has ended with the thread. */
  async free(key: string): Promise<void> {
    if (!this.ended) await this.ask({ type: "free", key });
  }

  #settle(reply: Reply): void {
    const { resolve, reject } = this.#waiting.get(reply.id) as Waiting;
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if ("error" in reply) unpackError(reply.error).then(reject, reject);
    else resolve(reply.value as never);
  }

  #end(error: unknown): void {
    this.ended = true;
    for (const { reject } of this.#waiting.values()) endOfThread(error).then(reject, reject);
    this.#waiting.clear();
  }
}

/** Frees the models of detectors that were collected without being disposed of. */
const collected = new FinalizationRegistry<{ thread: PredictionThread; key: string }>(({ thread, key }) => {
  thread.free(key).catch(() => {});
});

/** A model that is loaded in the prediction thread. */
export class RemoteModel {
  readonly #thread: PredictionThread;
  readonly #key: string;

  private constructor(
    readonly info: ModelInfo,
    thread: PredictionThread,
    key: string,
  ) {
    this.#thread = thread;
    this.#key = key;
    collected.register(this, { thread, key }, this);
  }

  /** Whether the thread has ended, and the model with it. */
  get ended(): boolean {
    return this.#thread.ended;
  }

  /** Loads a model in the prediction thread. @throws CheckpointError, ConfigError */
  static async load(model: ModelRequest): Promise<RemoteModel> {
    const thread = PredictionThread.get();
    const { key, info } = await thread.ask<{ key: string; info: ModelInfo }>({ type: "load", model });
    return new RemoteModel(info, thread, key);
  }

  /** Detects objects in a batch of images. @returns for each what was found, or why it cannot be read */
  async detect(images: ImageSource[], options: DetectOptions): Promise<(ImagePrediction | Error)[]> {
    const request = { type: "detect", key: this.#key, images, options } as const;
    const found = await this.#thread.ask<(ImagePrediction | SentError)[]>(request);
    return Promise.all(found.map((result) => ("detections" in result ? result : unpackError(result))));
  }

  /** Frees the model, after what was asked of it. It cannot be used afterwards. */
  async free(): Promise<void> {
    collected.unregister(this);
    await this.#thread.free(this.#key);
  }
}
