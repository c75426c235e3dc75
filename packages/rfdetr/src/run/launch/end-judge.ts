// Notices that processes which another launcher has started hang after all were asked to save and end. What `end-watch`
// sees from outside, each process tells in the store of the group, and rank 0 judges: its own launcher kills all after
// a while, saved or not.
import { type Activity, isActive } from "../../support/machine/process-activity.js";
import type { GivenUp } from "./failure-notices.js";
import type { RankPlace } from "./rank-place.js";

/** The part of the store that is needed here. */
export interface EndStore {
  set(key: string, value: string): void;
  tryGet(key: string): string | null;
}

/** What a process knows of itself. */
export interface OwnEnd {
  /** Whether it was asked to save and end. */
  asked(): boolean;
  /** Whether it writes a file: its disk may be slow. */
  saves(): boolean;
  /** What it has done; null where the system does not tell. */
  activity(): Activity | null;
  /** Breaks the connections of this process, so that it goes on without the others. */
  abort(): void;
}

/** What rank 0 has seen of another process. */
interface Seen {
  text: string | null;
  did: string | undefined;
  /** Looks without a sign of it. */
  silent: number;
}

const askedKey = "end/asked";
const givenKey = "end/given";
const signKey = (rank: number): string => `end/${rank}`;
/** The sign of a process that has ended by itself. */
const gone = "gone";

/** One process of a group that is to end. */
export class EndJudge {
  #signs = 0;
  #did = 0;
  #before: Activity | null = null;
  #quiet = 0;
  readonly #given: number[] = [];
  readonly #others: Set<number>;
  readonly #seen = new Map<number, Seen>();

  /** @param patience looks, of one second each, after which a process is given up */
  constructor(
    readonly store: EndStore,
    readonly place: Pick<RankPlace, "rank" | "size">,
    readonly patience: number,
    readonly own: OwnEnd,
  ) {
    this.#others = new Set(Array.from({ length: place.size }, (_, rank) => rank).filter((rank) => rank !== place.rank));
  }

  /**
   * Looks once, a second after the last time.
   * @returns why this process is given up, as its sentence goes on after its name; null where it is not
   * @throws DistributedError when the store is gone
   */
  look(): string | null {
    if (!this.#isAsked()) return null;
    const does = this.#does();
    if (does) this.#did++;
    this.store.set(signKey(this.place.rank), `${++this.#signs} ${this.#did}`);
    return this.place.rank === 0 ? this.#judge(does) : this.#verdict();
  }

  /** Tells that this process has ended by itself: nobody waits for a sign of it. */
  leave(): void {
    this.store.set(signKey(this.place.rank), gone);
  }

  /** A signal to one of the processes is one to all. */
  #isAsked(): boolean {
    const told = this.store.tryGet(askedKey) !== null;
    if (!told && this.own.asked()) this.store.set(askedKey, "");
    return told || this.own.asked();
  }

  #does(): boolean {
    const now = this.own.activity();
    const does = this.own.saves() || now === null || isActive(this.#before, now);
    this.#before = now;
    return does;
  }

  #verdict(): string | null {
    const text = this.store.tryGet(givenKey);
    if (text === null) return null;
    const given = JSON.parse(text) as { ranks: number[]; why: string };
    return given.ranks.includes(this.place.rank) ? given.why : null;
  }

  #judge(does: boolean): string | null {
    let anyDoes = does;
    for (const rank of this.#others) if (this.#hear(rank)) anyDoes = true;
    this.#quiet = anyDoes ? 0 : this.#quiet + 1;
    const silent = [...this.#others].filter((rank) => (this.#seen.get(rank)?.silent ?? 0) >= this.patience);
    if (silent.length > 0) {
      this.#giveUp(
        silent,
        `gave no sign for ${this.patience} seconds after all were asked to save and end: it was stopped, as by SIGSTOP or a debugger, or its host or network is gone`,
      );
      return null;
    }
    if (this.#quiet < this.patience) return null;
    const why = `was given up, since no process did anything for ${this.patience} seconds after all were asked to save and end`;
    if (this.#others.size === 0) return why;
    // Rank 0 saves when the connection to the others breaks.
    this.#giveUp([...this.#others], why);
    return null;
  }

  /** Looks for a sign of another process. @returns whether it did something */
  #hear(rank: number): boolean {
    const text = this.store.tryGet(signKey(rank));
    if (text === gone) {
      this.#others.delete(rank);
      return false;
    }
    const before = this.#seen.get(rank);
    const did = text?.split(" ")[1];
    const isHeard = text !== null && text !== before?.text;
    this.#seen.set(rank, { text, did, silent: isHeard ? 0 : (before?.silent ?? 0) + 1 });
    return isHeard && did !== before?.did;
  }

  #giveUp(ranks: readonly number[], why: string): void {
    const notice: GivenUp = { message: why, isGivenUp: true };
    for (const rank of ranks) {
      this.#others.delete(rank);
      if (this.store.tryGet(`failure/${rank}`) === null) this.store.set(`failure/${rank}`, JSON.stringify(notice));
    }
    this.#given.push(...ranks);
    this.#quiet = 0;
    this.store.set(givenKey, JSON.stringify({ ranks: this.#given, why }));
    this.own.abort();
  }
}
