// What a run waits for that may never come: code of a user that does not end, images on a disk that hangs. It is named
// after a while; the run goes on waiting.
import type { TrainEvent } from "./files/events.js";

/** Milliseconds after which it is told what a run waits for. */
export const longWait = 30_000;

/** The sentence that names what a run waits for. */
export const waitsFor = (what: string, milliseconds = longWait, who = "The run"): string =>
  `${who} has waited for ${milliseconds / 1000} seconds for ${what}, and goes on waiting`;

const isThenable = (value: unknown): boolean =>
  typeof (value as { then?: unknown } | null | undefined)?.then === "function";

/** Watches what is awaited, and tells of each thing once. */
export class Waits {
  readonly #told = new Set<string>();
  readonly #after: number;
  readonly #who: string | undefined;
  #tell = (_message: string): void => {};

  /**
   * @param after milliseconds after which it is told
   * @param who waits, as a sentence begins with it
   */
  constructor(after = longWait, who?: string) {
    this.#after = after;
    this.#who = who;
  }

  /** Calls `tell` with each sentence from now on. */
  listen(tell: (message: string) => void): void {
    this.#tell = tell;
  }

  /** Awaits a value. @param what names it, after "waits for" */
  async on<T>(what: string, value: T): Promise<Awaited<T>> {
    if (!isThenable(value) || this.#told.has(what)) return await value;
    const clock = setTimeout(() => {
      this.#told.add(what);
      this.#tell(waitsFor(what, this.#after, this.#who));
    }, this.#after);
    // A thread in which nothing can settle the promise ends at once, and its end is told.
    clock.unref();
    try {
      return await value;
    } finally {
      clearTimeout(clock);
    }
  }

  /** The same items, each of which is awaited as {@link on} does. */
  async *each<T>(what: string, items: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = items[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.on(what, iterator.next());
        if (done) return;
        yield value;
      }
    } finally {
      await iterator.return?.();
    }
  }

  /** The same events, and a warning where what they wait for takes long. */
  async *among(events: AsyncGenerator<TrainEvent>): AsyncGenerator<TrainEvent> {
    let isPending = false;
    try {
      for (;;) {
        isPending = true;
        const next = events.next();
        // Who reads the events may leave before it fails.
        next.catch(() => {});
        let first = await this.#first(next);
        for (; typeof first === "string"; first = await this.#first(next)) yield { type: "warning", message: first };
        isPending = false;
        if (first.done) return;
        yield first.value;
      }
    } finally {
      const returned = events.return(undefined);
      if (!isPending) await returned;
    }
  }

  #first<T>(next: Promise<T>): Promise<T | string> {
    const told = new Promise<string>((resolve) => this.listen(resolve));
    return Promise.race([next, told]);
  }
}
