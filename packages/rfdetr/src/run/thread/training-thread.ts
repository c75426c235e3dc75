// The thread of this process that trains. The main thread stays free for the console, signals and other processes.
import { Worker } from "node:worker_threads";
import { endOfThread, packError, type SentError, unpackError } from "../../support/error-transfer.js";
import { CustomCodeError, InternalError } from "../../support/errors.js";
import { workerFlags, workerScript } from "../../support/machine/worker-path.js";
import { customCode } from "../custom-code.js";
import type { TrainEvent } from "../events/events.js";
import { RunLock } from "../files/run-lock.js";
import { watchGroupEnd } from "../launch/group-end.js";
import { watchThread } from "../launch/watchdog.js";
import type { ThreadRequest, WorkerMessage } from "./train-request.js";

/** Milliseconds in which a thread that fails finds out why. */
const patience = 12_000;

/**
 * Trains in a thread of this process.
 * @param emit is called with each event
 * @param isLaunched whether another launcher than that of this program has started this process, and others with it
 * @returns when the thread has ended; rejects with what the run failed with
 */
export async function trainInThread(
  request: ThreadRequest,
  emit: (event: TrainEvent) => void,
  isLaunched = false,
): Promise<void> {
  const script = workerScript(import.meta.url, "worker.js");
  return new Promise((resolve, reject) => {
    let failed = false;
    let done = false;
    let folder: string | null = null;
    let own = customCode({ ...request.settings, ...request.changes }, request.place?.rank ?? 0);
    // A thread that dies, as for lack of memory, does not give its run free.
    const died = (error: unknown): void => {
      failed = true;
      if (folder !== null) RunLock.abandon(folder);
      endOfThread(error).then(reject, reject);
    };
    let unwatch = (): void => {};
    const worker = new Worker(script, { workerData: request, ...workerFlags() });
    let clock: NodeJS.Timeout | undefined;
    // The store of a group may lie behind a network that is cut. A thread that waits there ends with its process only,
    // whose ordinary exit would wait for it.
    const giveUp = async (failure: SentError): Promise<void> => {
      if (failed) return;
      failed = true;
      unwatch();
      worker.unref();
      const { distributed } = await import("@rfdetr/torch");
      process.once("exit", distributed.exitNow);
      unpackError(failure).then(reject, reject);
    };
    worker.on("message", (message: WorkerMessage) => {
      if ("event" in message) {
        if (message.event.type === "start") folder = message.event.dir;
        return emit(message.event);
      }
      if ("own" in message) {
        own = message.own;
        return;
      }
      if ("done" in message) {
        done = true;
        return;
      }
      if ("failing" in message) {
        clearTimeout(clock);
        const { failing } = message;
        if (failing !== null) clock = setTimeout(() => giveUp(failing), patience);
        return;
      }
      failed = true;
      clearTimeout(clock);
      unpackError(message.failure).then(reject, reject);
    });
    const { place = null, stop } = request;
    if (place !== null) {
      const stuck = (error: Error): void => void giveUp(packError(error));
      const watches = [watchThread(stop, place, stuck), ...(isLaunched ? [watchGroupEnd(stop, place, stuck)] : [])];
      unwatch = () => {
        for (const end of watches) end();
      };
    }
    worker.on("error", died);
    worker.on("exit", (code) => {
      unwatch();
      if (failed) return;
      // A run that is done stays so, whatever code its thread was told to end with.
      if (done) resolve();
      else died(endOf(code, own));
    });
  });
}

/** The code of a Node program that awaits a promise when nothing is left that could settle it. */
const neverSettled = 13;

/** Why the thread ended by itself: this program never ends it, but code of a user may. */
function endOf(code: number, own: readonly string[]): Error {
  if (own.length === 0) return new InternalError(`The training thread ended by itself with code ${code}`);
  if (code === neverSettled)
    return new CustomCodeError(`The run waits for something that never comes, with ${own.join(" and ")} in it`, {
      hint: "A promise that code of a run returns must come to an end; continue the run from its last checkpoint",
    });
  return new CustomCodeError(`The training thread ended by itself with code ${code}, with ${own.join(" and ")} in it`, {
    hint: "Code of a run may not end its thread, as process.exit does; the run can be continued from its last checkpoint",
  });
}
