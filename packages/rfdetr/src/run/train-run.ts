// A training run as its caller sees it: an async iterable of events and a result. A worker thread does the work, or
// several processes.
import { existsSync } from "node:fs";
import type { GivenData } from "../data/custom/data-path.js";
import type { TrainSettings } from "../settings/settings.js";
import { InternalError, UsageError } from "../support/errors.js";
import { letThreadsSleep } from "../support/machine/openmp.js";
import { type ControlAnswer, type ControlCommand, requestControl } from "./control/control.js";
import { StopRequest, type StopSignal } from "./control/stop-request.js";
import { EventLog } from "./events/event-log.js";
import type { DoneEvent, TrainEvent } from "./events/events.js";
import { mustExist } from "./files/folder-checks.js";
import { trainInProcesses } from "./launch/launcher.js";
import type { RankPlace } from "./launch/rank-place.js";
import { trainingRank } from "./launch/rank-process.js";
import { checkProcesses } from "./launch/shares.js";
import { whoTrains } from "./launch/who-trains.js";
import type { ResumeChanges } from "./session/resume.js";
import { downloading } from "./sources/downloading.js";
import { gathering } from "./sources/gathering.js";
import { trainInThread } from "./thread/training-thread.js";

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

/** What a run is started with, beside its settings. */
export interface TrainRunOptions {
  /** Folder of the run to continue; null begins a new one. */
  resume?: string | null;
  /** New values of settings for a run that is continued. */
  changes?: ResumeChanges;
  /** A custom dataset or several datasets, in place of `dataset_dir`; their path is made beside the run. */
  data?: GivenData;
  /**
   * Processes of this machine to train with; default: as many as the run was begun with. Under a launcher such as
   * torchrun, which has started the processes, it is their number.
   */
  processes?: number;
  /** How often all processes of several that this one starts are started anew when one is lost; default 0. */
  maxRestarts?: number;
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
 *
 * Each iteration gives all events from the start of the run on: several at the same time, one that begins late, and one
 * that begins after another was left. With more than 10,000 events, the oldest step and evaluation events are dropped.
 * @example
 * import { RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano");
 * const run = detector.train({ data: "birds/", epochs: 50 });
 * process.once("SIGINT", () => run.stop());
 * for await (const event of run) if (event.type === "epoch") console.log(event.epoch, event.loss);
 * console.log((await run.result).best);
 */
export class TrainRun implements AsyncIterable<TrainEvent> {
  readonly result: Promise<TrainResult>;
  /** The place of this process in the group of a launcher such as torchrun; null where there is none. */
  readonly place: RankPlace | null;
  /** Number of processes that train. */
  readonly processes: number;
  readonly #stop: StopRequest;
  readonly #events = new EventLog();
  readonly #folder: Promise<string>;

  private constructor(
    stop: StopRequest,
    { place, processes }: { place: RankPlace | null; processes: number },
    work: (emit: (event: TrainEvent) => void) => Promise<void>,
    { ended, left }: Pick<TrainRunOptions, "ended" | "left">,
  ) {
    this.#stop = stop;
    this.place = place;
    this.processes = processes;
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
      const message = folder === null || !existsSync(folder) ? null : (left?.(folder) ?? null);
      if (message !== null) this.#events.push({ type: "warning", message });
    };
    const isFirst = (place?.rank ?? 0) === 0;
    const worked = work((event) => {
      if (event.type === "start") begun(event.dir);
      if (event.type === "done") done = event;
      if (event.type === "start" || event.type === "done") folder = event.dir;
      this.#events.push(event);
    });
    const finished = worked.finally(leave).then((): TrainResult => {
      if (done === null) throw new InternalError("The training thread ended without a result");
      const { type: _, ...result } = done as DoneEvent;
      // The folder may be moved while the report is written.
      if (isFirst && !result.endedBefore) mustExist([result.dir, result.best ?? result.dir, result.last ?? result.dir]);
      return result;
    });
    this.result = finished.then(
      (result) => {
        this.#events.end(null);
        ended?.(result);
        return result;
      },
      (error: unknown) => {
        failed(error);
        this.#events.end(error);
        throw error;
      },
    );
  }

  /**
   * Starts a run: in a worker thread, in several processes of this machine, or in this process as one of a group that a
   * launcher such as torchrun has started.
   * @param settings null in a process of such a group that takes those of rank 0
   * @throws UsageError for a number of processes that cannot be, for restarts of a run that this process does not
   * launch, or for wrong variables of a launcher
   */
  static start(settings: TrainSettings | null, options: TrainRunOptions = {}): TrainRun {
    letThreadsSleep();
    const { resume = null, maxRestarts = 0, data, signal, ended, left } = options;
    const { processes, place } = whoTrains(settings, options);
    const stop = new StopRequest();
    const abort = () => stop.ask();
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const work = async (emit: (event: TrainEvent) => void): Promise<void> => {
      const isNew = settings !== null && resume === null && (place?.rank ?? 0) === 0;
      const gathered =
        data === undefined ? {} : { datasetDir: await gathering(data, { settings, resume, stop, emit }) };
      const complete = settings === null ? null : { ...settings, ...gathered };
      const request = {
        settings: isNew ? await downloading(complete as TrainSettings, stop, emit) : complete,
        resume,
        changes: { ...options.changes, ...(resume === null ? {} : gathered) },
      };
      if (place !== null || processes === 1 || request.settings === null)
        return trainInThread({ ...request, stop: stop.shared, place }, emit, place !== null);
      const warning = checkProcesses(processes);
      if (warning !== null) emit({ type: "warning", message: warning });
      const { settings: given } = request;
      return trainInProcesses({
        request: { ...request, settings: given },
        program: trainingRank(),
        processes,
        maxRestarts,
        stop,
        emit,
      });
    };
    // Only rank 0 has the files of the run.
    const finish = { ...(ended && { ended }), ...(left && (place?.rank ?? 0) === 0 && { left }) };
    return new TrainRun(
      stop,
      { place, processes },
      (emit) => work(emit).finally(() => signal?.removeEventListener("abort", abort)),
      finish,
    );
  }

  /**
   * Asks the run to save a checkpoint and end after the step it is at.
   * @param signal the signal that asked for it, if one did
   */
  stop(signal: StopSignal | null = null): void {
    this.#stop.ask(signal);
  }

  /** Ends the other processes of the run at once, without saving: this one is about to be killed. */
  quit(): void {
    this.#stop.quit();
  }

  /** Whether this process of a group still waits for the others of it: nothing was trained that could be saved. */
  get isJoining(): boolean {
    return this.place !== null && Atomics.load(this.#stop.shared, 1) === 0;
  }

  /** The path of what the run writes at this moment: a slow disk may hold it up. Null for nothing. */
  get saving(): string | null {
    return this.#stop.saving;
  }

  /** The signal that asked the run to end, this process or another one of it; null where none did. */
  get stoppedBy(): StopSignal | null {
    return this.#stop.signal;
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
   * @throws RunDirectoryError when the run ends before it answers, UsageError in a process other than rank 0
   * @example
   * import { TrainRun } from "rfdetr/run";
   * const { accepted, message } = await run.control({ command: "override", pattern: "bbox_embed", rule: "fp32" });
   */
  async control(command: ControlCommand): Promise<ControlAnswer> {
    if ((this.place?.rank ?? 0) > 0)
      throw new UsageError(`Expected rank 0, which obeys commands, but this is rank ${this.place?.rank}`);
    return await requestControl(await this.#folder, command, { patience: Number.POSITIVE_INFINITY });
  }

  [Symbol.asyncIterator](): AsyncGenerator<TrainEvent> {
    // Who iterates sees a failure there.
    this.result.catch(() => {});
    return this.#events.read();
  }
}
