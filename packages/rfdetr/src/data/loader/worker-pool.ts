// Threads that each do one job at a time.
import { type ResourceLimits, Worker } from "node:worker_threads";
import { type SentError, unpackError } from "../../support/error-transfer.js";
import { CustomCodeError, InternalError } from "../../support/errors.js";
import { checkMemory } from "../../support/machine/memory-error.js";
import { workerFlags } from "../../support/machine/worker-path.js";

/** What a thread answers to a job. */
export type Answer<Result> = { result: Result } | { error: SentError };

interface Task<Job, Result> {
  make: () => Job;
  /** What the job does, for errors: follows "to". */
  purpose: string;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Runs jobs in worker threads, in the order in which they come. A thread starts when a job waits and none is free, so
 * that there are no more than can have work. A thread that ends makes every job fail.
 */
export class WorkerPool<Job, Result> {
  readonly #start: () => Worker;
  readonly #count: number;
  readonly #workers: Worker[] = [];
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Task<Job, Result>>();
  readonly #queue: Task<Job, Result>[] = [];
  /** Code of a user that runs in the threads. */
  readonly #guests: readonly string[];
  #failure: Error | null = null;

  /**
   * @param script file that posts an {@link Answer} to each message; @param count threads at the most
   * @param options `workerData`, and the limits of a thread's memory
   * @param guests what runs in the threads and is not of this program, for errors
   */
  constructor(
    script: string,
    count: number,
    options: { workerData?: unknown; resourceLimits?: ResourceLimits },
    guests: readonly string[] = [],
  ) {
    this.#guests = guests;
    this.#count = count;
    this.#start = () => new Worker(script, { ...options, ...workerFlags() });
  }

  #started(): Worker {
    const worker = this.#start();
    this.#workers.push(worker);
    worker.on("message", (answer: Answer<Result>) => this.#answered(worker, answer));
    worker.on("error", (error) => this.#ended(worker, error.message, error));
    worker.on("exit", (code) => this.#ended(worker, `it ended by itself with code ${code}`));
    return worker;
  }

  /**
   * Runs a job in the next free thread.
   * @param make the job, made when a thread is free; @param purpose what it does, for errors: follows "to"
   */
  run(make: () => Job, purpose: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#queue.push({ make, purpose, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue.length > 0 && (this.#idle.length > 0 || this.#workers.length < this.#count)) {
      const worker = this.#idle.pop() ?? this.#started();
      const task = this.#queue.shift() as Task<Job, Result>;
      this.#running.set(worker, task);
      worker.ref();
      worker.postMessage(task.make());
    }
  }

  #answered(worker: Worker, answer: Answer<Result>): void {
    // An answer on the way must not unref a thread whose end is awaited: the process would end before it.
    if (this.#failure !== null) return;
    const task = this.#running.get(worker);
    this.#running.delete(worker);
    // An idle thread does not keep the process alive; a listener that is added later would.
    worker.unref();
    this.#idle.push(worker);
    this.#next();
    if ("result" in answer) task?.resolve(answer.result);
    else unpackError(answer.error).then(task?.reject);
  }

  #ended(worker: Worker, how: string, cause?: Error): void {
    if (this.#failure !== null) return;
    const purpose = this.#running.get(worker)?.purpose ?? "load images";
    this.#fail(threadError(purpose, how, cause, this.#guests));
    for (const other of this.#workers) void other.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of [...this.#running.values(), ...this.#queue]) reject(error);
    this.#running.clear();
    this.#queue.length = 0;
  }

  /** Ends the threads. Jobs that are not done fail. */
  async close(): Promise<void> {
    this.#fail(new InternalError("Expected no jobs after the threads that load images were closed"));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** Lack of memory is not blamed on the image, nor is a thread that ended. This program ends none. */
function threadError(purpose: string, how: string, cause: Error | undefined, guests: readonly string[]): Error {
  try {
    checkMemory(cause, purpose);
  } catch (error) {
    return error as Error;
  }
  if (guests.length === 0) return new InternalError(`Expected a thread to ${purpose} but ${how}`, { cause });
  return new CustomCodeError(`Expected a thread to ${purpose} but ${how}, with ${guests.join(" and ")} in it`, {
    cause,
    hint: "An augmentation may not end its thread, as by process.exit, nor throw after it has answered",
  });
}
