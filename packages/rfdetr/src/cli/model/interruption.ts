// What ends a prediction from outside: Ctrl-C and the other signals that ask a program to end.
import type { StopSignal } from "../../run/control/stop-request.js";
import { exitCodes } from "../run-stopper.js";

/** Listens to the signals until it is closed. The first aborts {@link abort}; a second ends the program at once. */
export class Interruption {
  /** The signal that came first; null if none did. */
  signal: StopSignal | null = null;
  readonly #stop = new AbortController();
  readonly #handlers = (Object.keys(exitCodes) as StopSignal[]).map((name) => {
    const handler = (): void => {
      this.signal ??= name;
      this.#stop.abort();
    };
    process.once(name, handler);
    return () => process.off(name, handler);
  });

  /** What is to be given to whatever is to end. */
  get abort(): AbortSignal {
    return this.#stop.signal;
  }

  /** Runs a task. What is thrown because of a signal is not passed on. */
  async during(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (this.signal === null || error !== this.abort.reason) throw error;
    }
  }

  close(): void {
    for (const remove of this.#handlers) remove();
  }
}

/** Runs a task that a signal aborts, so that it leaves nothing unfinished. Then the signal ends the program. */
export async function abortedBySignal<T>(task: (abort: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new Interruption();
  try {
    return await task(interruption.abort);
  } finally {
    interruption.close();
    if (interruption.signal !== null) process.kill(process.pid, interruption.signal);
  }
}
