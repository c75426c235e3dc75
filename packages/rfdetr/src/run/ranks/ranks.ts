// The processes that train together, as training code knows them: this one alone, or a group.
import type { distributed, Tensor } from "@rfdetr/torch";
import type { Shard } from "../../data/loader/shards.js";

/** A group that was joined. */
interface Joined {
  group: distributed.ProcessGroup;
  /** Finds the error to end with after a failure; see `FailureNotices`. */
  explain: (error: unknown) => unknown;
  /** Shows that this process gets on. */
  alive: () => void;
}

/** The processes of a run, as one of them sees them. What is called on one is called on all, in the same order. */
export class Ranks implements Shard {
  readonly rank: number;
  readonly size: number;
  /** Null for a process that trains alone. */
  readonly group: distributed.ProcessGroup | null;
  /** Seconds of the last {@link Ranks.gather}: that long this process waited for the slowest of the others. */
  gatherSeconds = 0;
  readonly #explain: Joined["explain"];
  readonly #alive: Joined["alive"];

  /** @param joined the group of the run; null for a process that trains alone */
  constructor(joined: Joined | null) {
    this.group = joined?.group ?? null;
    this.rank = this.group?.rank ?? 0;
    this.size = this.group?.size ?? 1;
    this.#explain = joined?.explain ?? ((error) => error);
    this.#alive = joined?.alive ?? (() => {});
  }

  /** The values of all, in the order of the ranks: anything that can be cloned. */
  gather<T>(value: T): T[] {
    if (this.group === null) return [value];
    const began = performance.now();
    const gathered = this.group.allGatherObjects(value);
    this.gatherSeconds = (performance.now() - began) / 1000;
    this.#alive();
    return gathered;
  }

  /** Copies the tensors of rank 0 into those of the others. */
  broadcast(tensors: readonly Tensor[]): void {
    this.group?.broadcast(tensors);
  }

  /** Waits for the others and leaves them. */
  leave(): void {
    this.group?.leave();
  }

  /**
   * Leaves at once after a failure; the others fail in what they wait for.
   * @returns the error to throw: the same, or what another process failed with
   */
  explain(error: unknown): unknown {
    return this.#explain(error);
  }
}
