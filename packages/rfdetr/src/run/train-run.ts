// A training run as its caller sees it: an async iterable of events and a result. A worker thread does the work.
import { Worker } from "node:worker_threads";
import type { TrainSettings } from "../settings/settings.js";
import { endOfThread, type SentError, unpackError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import { letThreadsSleep } from "../support/openmp.js";
import { workerFlags, workerScript } from "../support/worker-path.js";
import { type ControlAnswer, type ControlCommand, requestControl } from "./control.js";
import type { DoneEvent, TrainEvent } from "./files/events.js";
import { RunLock } from "./files/run-lock.js";
import type { RankPlace } from "./launch/place.js";
import type { ResumeChanges } from "./session/resume.js";

/** What the training thread receives. */
export interface TrainRequest {
  settings: TrainSettings;
  /** Folder of the run to continue, or null for a new one. */
  resume: string | null;
  /** New values of settings for a run that is continued. */
  changes?: ResumeChanges;
  /**
   * Shared memory: 0, or why the run is to save a checkpoint and stop: the number of the signal that asked for it, or -1
   * where none did.
   */
  stop: Int32Array;
  /** The place of this process among those that train together; null trains in one process. */
  place: RankPlace | null;
}

/** What the training thread sends. */
export type WorkerMessage = { event: TrainEvent } | { failure: SentError };

/** How a run ended, and where its files are. */
export interface TrainResult {
  dir: string;
  /** Path of the best weights; null if no epoch had figures to choose by. */
  best: string | null;
  /** Path of the weights of the end; null if the run ended before it had any that are finite. */
  last: string | null;
  /** Whether the run had ended already when it was resumed, so that nothing was trained. */
  endedBefore: boolean;
  summary: DoneEvent["summary"];
}

/** With more unread events than this, the oldest step and evaluation events are dropped. */
const backlog = 10_000;

/** What a run is started with, beside its settings. */
export interface TrainRunOptions {
  /** Folder of the run to continue; null begins a new one. */
  resume?: string | null;
  /** New values of settings for a run that is continued. */
  changes?: ResumeChanges;
  /** Stops the run as {@link TrainRun.stop} does. */
  signal?: AbortSignal;
  /** Called at the end of a run that did not fail, before `result` resolves. */
  ended?: (result: TrainResult) => void;
  /**
   * Called with the folder that a run leaves, however it ended, when its files are complete and before the iteration
   * ends. What it returns becomes a warning.
   */
  left?: (folder: string) => string | null;
}

/**
 * A run in progress. Iterate it for its events, await `result` for its end, or both; `stop()` saves a checkpoint and
 * ends it, which is no error. The iteration and `result` throw what the run failed with. Where nobody iterates or
 * awaits, a failure is an unhandled rejection, which ends the process.
 * @example
 * import { RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano", { weights: "nano" });
 * const run = detector.train({ data: "birds/", epochs: 50 });
 * process.once("SIGINT", () => run.stop());
 * for await (const event of run) if (event.type === "epoch") console.log(event.epoch, event.loss);
 * console.log((await run.result).best);
 */
export class TrainRun implements AsyncIterable<TrainEvent> {
  readonly result: Promise<TrainResult>;
  readonly #stop: Int32Array;
  readonly #queue: TrainEvent[] = [];
  #wake: (() => void) | null = null;
  #ended = false;
  #failure: unknown = null;
  readonly #folder: Promise<string>;

  private constructor(
    stop: Int32Array,
    work: (emit: (event: TrainEvent) => void) => Promise<void>,
    { ended, left }: Pick<TrainRunOptions, "ended" | "left">,
  ) {
    this.#stop = stop;
    let done: DoneEvent | null = null;
    let begun = (_folder: string): void => {};
    let failed = (_error: unknown): void => {};
    this.#folder = new Promise((resolve, reject) => {
      begun = resolve;
      failed = reject;
    });
    // Only who controls the run waits for its folder.
    this.#folder.catch(() => {});
    let folder: string | null = null;
    const leave = (): void => {
      const message = folder === null ? null : (left?.(folder) ?? null);
      if (message !== null) this.#push({ type: "warning", message });
    };
    const worked = work((event) => {
      if (event.type === "start") begun(event.dir);
      if (event.type === "done") done = event;
      if (event.type === "start" || event.type === "done") folder = event.dir;
      this.#push(event);
    });
    this.result = worked.finally(leave).then(
      () => {
        this.#end(null);
        if (done === null) throw new InternalError("The training thread ended without a result");
        const { type: _, ...result } = done as DoneEvent;
        ended?.(result);
        return result;
      },
      (error: unknown) => {
        failed(error);
        this.#end(error);
        throw error;
      },
    );
  }

  /** Starts a run in a worker thread. */
  static start(
    settings: TrainSettings,
    { resume = null, changes = {}, signal, ended, left }: TrainRunOptions = {},
  ): TrainRun {
    letThreadsSleep();
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const abort = () => void Atomics.store(stop, 0, -1);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const work = (emit: (event: TrainEvent) => void) =>
      inWorker({ settings, resume, changes, stop, place: null }, emit).finally(() =>
        signal?.removeEventListener("abort", abort),
      );
    return new TrainRun(stop, work, { ...(ended && { ended }), ...(left && { left }) });
  }

  /** Asks the run to save a checkpoint and end after the step it is at. */
  stop(): void {
    Atomics.store(this.#stop, 0, -1);
  }

  /**
   * Asks the run to pause after the step that it is at: it saves a checkpoint and waits, with everything in memory. A
   * paused run can be stopped as any other; its pauses do not count as training time.
   * @throws RunDirectoryError when the run ends before it answers
   */
  pause(): Promise<ControlAnswer> {
    return this.control({ command: "pause" });
  }

  /** Ends a pause. @throws RunDirectoryError when the run ends before it answers */
  resume(): Promise<ControlAnswer> {
    return this.control({ command: "go-on" });
  }

  /**
   * Gives the run a command, in the way in which other processes do it, and waits for the answer. What changes the
   * precision is recorded in the settings of the run with its step.
   * @throws RunDirectoryError when the run ends before it answers
   * @example
   * import { TrainRun } from "rfdetr/run";
   * const { accepted, message } = await run.control({ command: "override", pattern: "bbox_embed", rule: "fp32" });
   */
  async control(command: ControlCommand): Promise<ControlAnswer> {
    return await requestControl(await this.#folder, command, { patience: Number.POSITIVE_INFINITY });
  }

  [Symbol.asyncIterator](): AsyncGenerator<TrainEvent> {
    // Who iterates sees a failure there.
    this.result.catch(() => {});
    return this.#events();
  }

  async *#events(): AsyncGenerator<TrainEvent> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) yield event;
      else if (this.#failure !== null) throw this.#failure;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  #push(event: TrainEvent): void {
    if (this.#queue.length >= backlog) {
      const step = this.#queue.findIndex(({ type }) => type === "step" || type === "evaluation");
      if (step >= 0) this.#queue.splice(step, 1);
    }
    this.#queue.push(event);
    this.#wake?.();
  }

  #end(failure: unknown): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }
}

async function inWorker(request: TrainRequest, emit: (event: TrainEvent) => void): Promise<void> {
  const script = workerScript(import.meta.url, "worker.js");
  return new Promise((resolve, reject) => {
    let failed = false;
    let folder: string | null = null;
    // A thread that dies, as for lack of memory, does not give its run free.
    const died = (error: unknown): void => {
      failed = true;
      if (folder !== null) RunLock.abandon(folder);
      endOfThread(error).then(reject, reject);
    };
    const worker = new Worker(script, { workerData: request, ...workerFlags() });
    worker.on("message", (message: WorkerMessage) => {
      if ("event" in message) {
        if (message.event.type === "start") folder = message.event.dir;
        return emit(message.event);
      }
      failed = true;
      unpackError(message.failure).then(reject, reject);
    });
    worker.on("error", died);
    worker.on("exit", (code) => {
      if (failed) return;
      if (code === 0) resolve();
      else died(new InternalError(`The training thread ended with code ${code}`));
    });
  });
}
