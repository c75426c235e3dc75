// Notices when the training thread of one process among several gets stuck where no timeout strikes, such as in a read
// from a disk that is gone. Its peers give it up, but only its own process can end it.
import { hostname } from "node:os";
import { RankError } from "../../support/errors.js";
import type { RankPlace } from "./rank-place.js";

/** Times the timeout after which a thread counts as stuck: calls of the group fail by themselves before. */
const times = 1.5;
/** The same for a thread that joins: it waits for rank 0, then for all ranks, then for its connections to them. */
const timesToJoin = 3;
/** Looks in a timeout. Looks are counted rather than seconds, because a process that was stopped makes none. */
const looks = 8;

/**
 * Watches a training thread.
 * @param shared whose second number the thread counts up when it has joined, and each time that it meets the others
 * @param stuck is called once, with the error to end with
 * @returns a function that ends the watch
 */
export function watchThread(
  shared: Int32Array,
  { rank, timeoutSeconds, address, port }: Pick<RankPlace, "rank" | "timeoutSeconds" | "address" | "port">,
  stuck: (error: RankError) => void,
): () => void {
  let [seen, quiet] = [Atomics.load(shared, 1), 0];
  const clock = setInterval(
    () => {
      const now = Atomics.load(shared, 1);
      quiet = now === seen ? quiet + 1 : 0;
      seen = now;
      const limit = now === 0 ? timesToJoin : times;
      if (quiet < limit * looks) return;
      clearInterval(clock);
      const [what, hint] =
        now === 0
          ? [
              `not joined the others at ${address}:${port} after`,
              "Check the network and the firewalls between the hosts",
            ]
          : ["not got on for", "Look at what it reads: a disk or a network folder may hang"];
      stuck(new RankError(`Rank ${rank} on ${hostname()} has ${what} ${limit * timeoutSeconds} seconds`, { hint }));
    },
    (timeoutSeconds / looks) * 1000,
  );
  clock.unref();
  return () => clearInterval(clock);
}
