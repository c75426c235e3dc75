// What a run waits for that may never come: code of a user that does not end, images on a disk that hangs. It is named
// after a while; the run goes on waiting.
import { isThenable } from "../support/thenable.js";
import type { TrainEvent } from "./events/events.js";

/** Milliseconds after which it is told what a run waits for. */
export const longWait = 30_000;

/** Milliseconds after which it is told what a run waits for that was asked to end. */
const shortWait = 2000;
/** Milliseconds between two looks at a wait. */
const interval = 250;

/** The sentence that names what a run waits for. */
export const waitsFor = (what: string, milliseconds = longWait, who = "The run"): string =>
  `${who} has waited for ${milliseconds / 1000} seconds for ${what}, and goes on waiting`;

const holdsUp = (what: string): string => `Before the run saves and ends, it waits for ${what}`;

/** Watches what is awaited, and tells of each thing once. */
export class Waits {
  readonly #told = new Set<string>();
  readonly #after: number;
  readonly #who: string | undefined;
  #isEnding = (): boolean => false;
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

  /** @param isEnding whether the run was asked to end: it is told sooner then what holds it up */
  end(isEnding: () => boolean): void {
    this.#isEnding = isEnding;
  }

  /**
   * Awaits a value.
   * @param what names it, after "waits for"
   * @param isEnding whether a run that is to end waits all the same
   */
  async on<T>(what: string, value: T, isEnding = this.#isEnding): Promise<Awaited<T>> {
    if (!isThenable(value) || this.#told.has(what)) return await value;
    const began = performance.now();
    const stopLooking = every(Math.min(interval, this.#after), () => {
      const waited = performance.now() - began;
      const isHeldUp = isEnding() && waited >= Math.min(shortWait, this.#after);
      if (this.#told.has(what) || (waited < this.#after && !isHeldUp)) return;
      this.#told.add(what);
      this.#tell(isHeldUp ? holdsUp(what) : waitsFor(what, this.#after, this.#who));
    });
    try {
      return await value;
    } finally {
      stopLooking();
    }
  }

  /**
   * The same items, each of which is awaited as {@link on} does.
   * @param isOver ends the items, without the one that is awaited
   */
  async *each<T>(what: string, items: AsyncIterable<T>, isOver = (): boolean => false): AsyncGenerator<T> {
    const iterator = items[Symbol.asyncIterator]();
    const isHeldUp = (): boolean => this.#isEnding() && !isOver();
    let isLeft = false;
    try {
      for (;;) {
        const next = await before(isOver, this.on(what, iterator.next(), isHeldUp));
        isLeft = next === null;
        if (next === null || next.done) return;
        yield next.value;
      }
    } finally {
      const returned = iterator.return?.();
      // It answers when the item has come, which may be never.
      if (isLeft) returned?.catch(() => {});
      else await returned;
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

/** Calls a function again and again. @returns what ends that */
function every(milliseconds: number, look: () => void): () => void {
  const clock = setInterval(look, milliseconds);
  // A thread in which nothing can settle a promise ends at once, and its end is told.
  clock.unref();
  return () => clearInterval(clock);
}

/** What a promise gives; null where something is so before. */
async function before<T>(isSo: () => boolean, promise: Promise<T>): Promise<T | null> {
  let stopLooking = (): void => {};
  const so = new Promise<null>((resolve) => {
    stopLooking = every(interval, () => {
      if (isSo()) resolve(null);
    });
  });
  try {
    return await Promise.race([promise, so]);
  } finally {
    stopLooking();
  }
}
