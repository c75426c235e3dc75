// A model in the prediction thread, as the other threads see it. A process has one such thread.
import { Worker } from "node:worker_threads";
import type { ImageSource, RawImage } from "../../pictures/picture.js";
import { endOfThread, type SentError, unpackError } from "../../support/error-transfer.js";
import { InternalError } from "../../support/errors.js";
import { letThreadsSleep } from "../../support/machine/openmp.js";
import { refuseTelemetry } from "../../support/machine/telemetry.js";
import { workerFlags, workerScript } from "../../support/machine/worker-path.js";
import type { DetectOptions, ImagePrediction, ModelInfo, ModelRequest } from "../types.js";

/** What the prediction thread receives. */
export type Request =
  | { type: "load"; id: number; model: ModelRequest }
  | { type: "detect"; id: number; key: string; images: ImageSource[]; options: DetectOptions; lend: boolean }
  | { type: "free"; id: number; key: string }
  /** Drops the request `id`. */
  | { type: "cancel"; id: number };

type Unsent<T> = T extends { type: "cancel" } ? never : T extends Request ? Omit<T, "id"> : never;

/** What the prediction thread sends. */
export type Reply = ({ id: number; value: unknown } | { id: number; error: SentError }) & {
  /** The pixels of the images that were lent. */
  back?: Uint8Array[];
};

interface Waiting {
  /** Images that were lent: their pixels come back with the answer. */
  lent: readonly ImageSource[];
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
    refuseTelemetry();
    const script = workerScript(import.meta.url, "predict-worker.js");
    this.#worker = new Worker(script, workerFlags());
    this.#worker.on("message", (reply: Reply) => this.#settle(reply));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", (code) => this.#end(new InternalError(`The prediction thread ended with code ${code}`)));
    // After the listeners: one that is added keeps the process alive.
    this.#worker.unref();
  }

  /**
   * Sends a request. The process stays alive until its answer is there.
   * @param given buffers that are given away
   */
  ask<T>(request: Unsent<Request>, given: readonly ArrayBuffer[] = [], signal?: AbortSignal): Promise<T> {
    const id = this.#next++;
    const cancel = (): void => this.#worker.postMessage({ type: "cancel", id });
    const answer = new Promise<T>((resolve, reject) => {
      this.#post({ ...request, id } as Request, given);
      const lent = request.type === "detect" && request.lend ? request.images : [];
      this.#waiting.set(id, { lent, resolve, reject });
      this.#worker.ref();
    });
    if (signal === undefined) return answer;
    signal.addEventListener("abort", cancel, { once: true });
    return answer.finally(() => signal.removeEventListener("abort", cancel));
  }

  #post(request: Request, given: readonly ArrayBuffer[]): void {
    try {
      this.#worker.postMessage(request, given);
    } catch (error) {
      // Memory that is not Node's own, such as that of sharp, can only be copied.
      if ((error as Error).name !== "DataCloneError") throw error;
      this.#worker.postMessage(request);
    }
  }

  /** Frees a model, unless it has ended with the thread. */
  async free(key: string): Promise<void> {
    if (!this.ended) await this.ask({ type: "free", key });
  }

  #settle(reply: Reply): void {
    const { lent, resolve, reject } = this.#waiting.get(reply.id) as Waiting;
    reply.back?.forEach((data, i) => {
      (lent[i] as RawImage).data = data;
    });
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

/** The memory of images that have one of their own. */
function wholeBuffers(images: readonly ImageSource[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const image of images) {
    if (typeof image === "string") continue;
    const { buffer, byteLength } = image instanceof Uint8Array ? image : image.data;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffers.add(buffer);
  }
  return [...buffers];
}

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

  /**
   * Detects objects in a batch of images, whose bytes are given away.
   * @param signal drops the batch, unless it is in the model already
   * @param lend whether the images are pixels, which come back instead
   * @returns for each image what was found, or why it cannot be read
   */
  async detect(
    images: ImageSource[],
    options: DetectOptions,
    signal?: AbortSignal,
    lend = false,
  ): Promise<(ImagePrediction | Error)[]> {
    signal?.throwIfAborted();
    const request = { type: "detect", key: this.#key, images, options, lend } as const;
    const found = await this.#thread.ask<(ImagePrediction | SentError)[]>(request, wholeBuffers(images), signal);
    return Promise.all(found.map((result) => ("detections" in result ? result : unpackError(result))));
  }

  /** Frees the model, after what was asked of it. It cannot be used afterwards. */
  async free(): Promise<void> {
    collected.unregister(this);
    await this.#thread.free(this.#key);
  }
}
