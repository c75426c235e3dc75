// Notices that processes which were asked to save and end do not, because one of them hangs: the others wait for it as
// long as the timeout of the group, which is for slow steps.
import { type Activity, activityOf, isActive } from "../../support/machine/process-activity.js";

/** A process that may hang. */
export interface WatchedRank {
  rank: number;
  pid: number | undefined;
  exit: object | null;
  /** The path of what it writes: its disk may be slow, and a process that waits for a flush does nothing. */
  saving?: string | null;
}

/** Why processes are given up. */
export type Hang = "stopped" | "idle";

/**
 * Watches processes from the request to end on.
 * @param patience seconds after which one that was stopped from outside is given up, and all but rank 0 where none of
 * them does anything; then rank 0 too
 * @param hung is called with those to give up
 * @returns a function that ends the watch
 */
export function watchEnd<Rank extends WatchedRank>(
  ranks: readonly Rank[],
  patience: number,
  hung: (ranks: readonly Rank[], why: Hang) => void,
  look: (pid: number) => Activity | null = activityOf,
): () => void {
  const before = new Map<Rank, Activity>();
  const stopped = new Map<Rank, number>();
  let quiet = 0;
  const clock = setInterval(() => {
    const left = ranks.filter(({ exit }) => exit === null);
    const busy = left.filter((rank) => {
      const now = rank.pid === undefined ? null : look(rank.pid);
      // Where the system does not tell, the timeout of the group strikes.
      if (now === null) return true;
      stopped.set(rank, now.isStopped ? (stopped.get(rank) ?? 0) + 1 : 0);
      const does = isActive(before.get(rank) ?? null, now);
      before.set(rank, now);
      return does || (rank.saving != null && !now.isStopped);
    });
    quiet = busy.length === 0 ? quiet + 1 : 0;
    const held = left.filter((rank) => (stopped.get(rank) ?? 0) >= patience);
    const [given, why]: [readonly Rank[], Hang] =
      held.length > 0 ? [held, "stopped"] : [quiet >= patience ? left : [], "idle"];
    if (given.length === 0) return;
    // Rank 0 saves when the connection to the others breaks.
    const others = given.filter(({ rank }) => rank > 0);
    quiet = 0;
    stopped.clear();
    hung(others.length > 0 && why === "idle" ? others : given, why);
  }, 1000);
  clock.unref();
  return () => clearInterval(clock);
}
