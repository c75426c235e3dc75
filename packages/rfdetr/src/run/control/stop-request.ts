// The request that a run saves and ends.
import { constants } from "node:os";
import { savingIn, savingWords, setSaving } from "../../support/files/saving.js";

/** A signal that asks a run to save and end. */
export type StopSignal = "SIGHUP" | "SIGINT" | "SIGTERM";

/** The signals that ask a run to save and end. */
export const stopSignals: readonly StopSignal[] = ["SIGHUP", "SIGINT", "SIGTERM"];

/** What the shared memory holds where no signal asked. */
const withoutSignal = -1;

/** Words of the shared memory before those that tell what is being written. */
const ownWords = 2;

/** The part of the shared memory that tells what the training thread writes. */
export const savingOf = (shared: Int32Array): Int32Array => shared.subarray(ownWords);

/** Asks a run to save a checkpoint and end, through memory that its training thread reads. The first request stays. */
export class StopRequest {
  /**
   * First 0, or why the run is to end: the number of a signal, or -1. Then how often the training thread has met those
   * of other processes. Then what it writes, see {@link savingOf}.
   */
  readonly shared: Int32Array;
  readonly #listeners = new Set<(signal: StopSignal | null) => void>();
  readonly #quitters = new Set<() => void>();

  constructor(shared = new Int32Array(new SharedArrayBuffer(4 * (ownWords + savingWords)))) {
    this.shared = shared;
  }

  get asked(): boolean {
    return Atomics.load(this.shared, 0) !== 0;
  }

  /** The signal that asked; null where none did. */
  get signal(): StopSignal | null {
    const number = Atomics.load(this.shared, 0);
    return stopSignals.find((name) => constants.signals[name] === number) ?? null;
  }

  /** The path of what the training thread writes, whose flush may take long; null for nothing. */
  get saving(): string | null {
    return savingIn(savingOf(this.shared));
  }

  /** What a training thread of another process writes. */
  set saving(path: string | null) {
    setSaving(savingOf(this.shared), path);
  }

  ask(signal: StopSignal | null = null): void {
    const reason = signal === null ? withoutSignal : constants.signals[signal];
    if (Atomics.compareExchange(this.shared, 0, 0, reason) !== 0) return;
    for (const listener of this.#listeners) listener(signal);
  }

  /** Ends at once, without saving, what works for the run in other processes: this one is about to be killed. */
  quit(): void {
    for (const quitter of this.#quitters) quitter();
  }

  /** Calls `quitter` when all is to end at once. Returns a function that removes it. */
  onQuit(quitter: () => void): () => void {
    this.#quitters.add(quitter);
    return () => void this.#quitters.delete(quitter);
  }

  /** Calls `listener` when somebody in this thread asks. Returns a function that removes it. */
  onAsk(listener: (signal: StopSignal | null) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
