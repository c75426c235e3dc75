// Keys and values that all ranks of a group see.
import { native } from "../native.js";
import { reportFailure } from "./error.js";

/**
 * The store of a group: small texts under names, served by rank 0 or by the launcher. Unlike collectives, its methods
 * need no other rank to call anything, so that it serves for what only some ranks know.
 */
export class Store {
  constructor(readonly rank: number) {}

  /** @throws DistributedError when the store is gone */
  set(key: string, value: string): void {
    reportFailure(`store ${key}`, this.rank, () => native.storeSet(key, value));
  }

  /**
   * The value of a key; waits for it.
   * @throws DistributedError when it does not come within the timeout of the group, or the store is gone
   */
  get(key: string): string {
    return reportFailure(`read ${key}`, this.rank, () => native.storeGet(key));
  }

  /** The value of a key, or null if nobody has set it. @throws DistributedError when the store is gone */
  tryGet(key: string): string | null {
    return reportFailure(`look for ${key}`, this.rank, () => native.storeTryGet(key));
  }
}
