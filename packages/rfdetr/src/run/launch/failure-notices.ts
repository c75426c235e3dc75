// What the processes of a group tell each other when one of them fails, so that all name the same cause.
import { hostname } from "node:os";
import { distributed } from "@rfdetr/torch";
import { RankError, RfdetrError } from "../../support/errors.js";
import type { RankPlace } from "./rank-place.js";

/** Milliseconds that a process waits for what another has to say of its end. */
const patience = 3000;
/** Milliseconds between two looks. */
const interval = 20;

/** What one process leaves in the store when it fails by itself. */
interface Notice {
  message: string;
  hint?: string;
}

/** What rank 0 leaves in the store for a process that it goes on without, see `EndJudge`. */
export interface GivenUp {
  /** As a sentence goes on after the name of the process. */
  message: string;
  isGivenUp: true;
}

/** The part of a group that is needed here. */
type Group = Pick<distributed.ProcessGroup, "rank" | "size"> & {
  store: Pick<distributed.ProcessGroup["store"], "set" | "get" | "tryGet">;
};

/**
 * Finds the cause of a failure. A process that fails by itself leaves its sentence in the store; those that only see a
 * broken connection look for it there.
 */
export class FailureNotices {
  readonly #group: Group;
  readonly #place: RankPlace;
  readonly #abort: () => void;
  readonly #failing: (error: unknown) => void;
  readonly #hosts: readonly string[];
  #said: unknown = null;

  /**
   * @param failing is called with an error before the store is asked, which may lie behind a network that is cut, and
   * with null when it has answered
   * @param abort makes the other processes fail at once, rather than when this one has ended
   */
  constructor(
    group: Group,
    place: RankPlace,
    failing: (error: unknown) => void,
    abort: () => void = distributed.ProcessGroup.abort,
  ) {
    this.#group = group;
    this.#place = place;
    this.#abort = abort;
    this.#failing = failing;
    // Read now: when it is needed, the store may be gone.
    this.#hosts = Array.from({ length: group.size }, (_, rank) => group.store.get(`host/${rank}`));
  }

  /**
   * The error that this process ends with: its own, or what it finds out about the process that failed first. Blocks
   * for seconds at most.
   */
  explain(error: unknown): unknown {
    if (this.#said !== null) return this.#said;
    this.#failing(error);
    const broken = distributedIn(error);
    this.#said = broken === null ? this.#own(error) : this.#ofOther(broken);
    this.#failing(null);
    return this.#said;
  }

  /** Tells the others. */
  #own(error: unknown): unknown {
    const message = error instanceof Error ? error.message : String(error);
    const hint = RfdetrError.is(error) ? error.hint : undefined;
    const notice: Notice = { message, ...(hint === undefined ? {} : { hint }) };
    try {
      this.#group.store.set(`failure/${this.#group.rank}`, JSON.stringify(notice));
      this.#abort();
      this.#leaves([]);
    } catch {
      // Others that cannot be told are gone, or find out by themselves.
    }
    return error;
  }

  #ofOther(error: distributed.DistributedError): unknown {
    this.#abort();
    // Who does not answer may be the one that serves the store.
    if (!this.#place.isStoreServer && !isBroken(error)) return error;
    try {
      const { found, silent } = this.#ask();
      this.#leaves(silent);
      if (found !== null) return found;
      return silent.length === 0 ? error : this.#lost(silent, error);
    } catch {
      // The store has gone with its process.
      const byOther = this.#group.rank !== 0 && isBroken(error);
      return byOther ? this.#lost([0], error) : error;
    }
  }

  /** Looks for what another process has left, as long as there is one that may still say something. */
  #ask(): { found: RankError | null; silent: number[] } {
    const { rank, store } = this.#group;
    store.set(`noticed/${rank}`, "");
    const end = performance.now() + patience;
    for (;;) {
      for (const other of this.#others) {
        const text = store.tryGet(`failure/${other}`);
        if (text === null) continue;
        const notice = JSON.parse(text) as Notice | GivenUp;
        const how = "isGivenUp" in notice ? notice.message : `ended: ${notice.message}`;
        const hint = "hint" in notice ? notice.hint : undefined;
        const found = new RankError(`${this.#named(other)} ${how}`, hint === undefined ? {} : { hint });
        return { found, silent: [] };
      }
      const silent = this.#others.filter((other) => store.tryGet(`noticed/${other}`) === null);
      if (silent.length === 0 || performance.now() > end) return { found: null, silent };
      pause(interval);
    }
  }

  /** Processes that neither said why they failed nor noticed that another did. */
  #lost(silent: readonly number[], cause: distributed.DistributedError): RankError {
    const names = silent.map((other) => this.#named(other));
    const which = names.length === 1 ? names[0] : `One of ${names.join(", ")}`;
    const how = isBroken(cause) ? "ended without a word" : `did not answer for ${this.#place.timeoutSeconds} seconds`;
    return new RankError(`${which} ${how}`, { cause, hint: lostHint });
  }

  /** The process that serves the store stays until the others have read it, except those that are lost. */
  #leaves(silent: readonly number[]): void {
    const { store, rank } = this.#group;
    store.set(`noticed/${rank}`, "");
    store.set(`left/${rank}`, "");
    if (!this.#place.isStoreServer) return;
    const end = performance.now() + patience;
    const awaited = this.#others.filter((other) => !silent.includes(other));
    while (performance.now() < end && awaited.some((other) => store.tryGet(`left/${other}`) === null)) pause(interval);
  }

  get #others(): number[] {
    return Array.from({ length: this.#group.size }, (_, rank) => rank).filter((rank) => rank !== this.#group.rank);
  }

  #named(rank: number): string {
    return `Rank ${rank} on ${this.#hosts[rank] ?? hostname()}`;
  }
}

/** The error of the group that is in an error or in what caused it. */
function distributedIn(error: unknown): distributed.DistributedError | null {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof distributed.DistributedError) return at;
  return null;
}

/** Whether a connection broke, and did not merely stay silent. */
const isBroken = (error: Error): boolean => /broke|this process is in no group/.test(error.message);

const lostHint =
  "Look at its last lines and at the log of its host (dmesg): it may have run out of memory, or its host or network is gone";

/** Blocks this thread: who fails has nothing else to do. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
