// Ends a process that another launcher has started, where the processes of its group hang after all were asked to save
// and end.
import { hostname } from "node:os";
import { Worker } from "node:worker_threads";
import { RankError } from "../../support/errors.js";
import { workerFlags, workerScript } from "../../support/machine/worker-path.js";
import type { RankPlace } from "./rank-place.js";

/**
 * Seconds after which processes are given up. torchrun, SLURM and Kubernetes kill 30 seconds after they have asked to
 * end, and rank 0 has to save before.
 */
const endPatience = 15;

/** What the thread that looks is started with. */
export interface EndThreadData {
  /** The shared memory of the training thread. */
  stop: Int32Array;
  place: RankPlace;
  patience: number;
  /** Whether it is to end, and how often it has looked. */
  control: Int32Array;
}

/**
 * Watches the end of a group from the time when this process has joined it. Rank 0 is made to go on without processes
 * that give no sign, and all but rank 0 are given up where none does anything, then rank 0 too.
 * @param stop the shared memory of the training thread
 * @param givenUp is called once, with the error to end with
 * @returns a function that ends the watch
 */
export function watchGroupEnd(
  stop: Int32Array,
  place: RankPlace,
  givenUp: (error: RankError) => void,
  patience = endPatience,
): () => void {
  const control = new Int32Array(new SharedArrayBuffer(8));
  let [looks, missed, runs] = [0, 0, false];
  const giveUp = (why: string): void => {
    clearInterval(clock);
    givenUp(new RankError(`Rank ${place.rank} on ${hostname()} ${why}`));
  };
  const begin = (): void => {
    runs = true;
    const data: EndThreadData = { stop, place, patience, control };
    const thread = new Worker(workerScript(import.meta.url, "end-worker.js"), { workerData: data, ...workerFlags() });
    thread.on("message", giveUp);
    thread.on("exit", () => {
      runs = false;
    });
    // A listener of messages keeps the process alive.
    thread.unref();
    // An exit would wait for a thread that waits for a store behind a network that is cut.
    import("@rfdetr/torch").then(({ distributed }) =>
      process.once("exit", (code) => {
        if (runs && missed > 2) distributed.exitNow(code);
      }),
    );
  };
  const clock = setInterval(() => {
    if (looks === 0 && !runs && Atomics.load(stop, 1) > 0) return begin();
    const now = Atomics.load(control, 1);
    missed = now === looks ? missed + 1 : 0;
    looks = now;
    // Rank 0 is not given up for a store that it does not reach: it may be saving.
    if (!runs || missed < patience || Atomics.load(stop, 0) === 0 || place.rank === 0) return;
    giveUp(
      `had no answer of the group's store for ${patience} seconds after it was asked to end: rank 0 was stopped, or its host or network is gone`,
    );
  }, 1000);
  clock.unref();
  return () => {
    clearInterval(clock);
    Atomics.store(control, 0, 1);
    Atomics.notify(control, 0);
  };
}
