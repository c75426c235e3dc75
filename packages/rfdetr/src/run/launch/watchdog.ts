// Notices when the training thread of one process among several gets stuck where no timeout strikes, such as in a read
// from a disk that is gone. Its peers give it up, but nobody else may end it.
import { hostname } from "node:os";
import { RankError } from "../../support/errors.js";
import type { RankPlace } from "./place.js";

/** Times the timeout after which a thread counts as stuck: calls of the group fail by themselves before. */
const times = 1.5;
/** Looks in that time. Looks are counted rather than seconds, because a process that was stopped makes none. */
const looks = 12;

/**
 * Watches a training thread. @param shared whose second number the thread counts up each time that it meets the others
 * @param stuck is called once, with the error to end with
 * @returns a function that ends the watch
 */
export function watchThread(
  shared: Int32Array,
  { rank, timeoutSeconds }: Pick<RankPlace, "rank" | "timeoutSeconds">,
  stuck: (error: RankError) => void,
): () => void {
  let [seen, quiet] = [Atomics.load(shared, 1), 0];
  const clock = setInterval(
    () => {
      const now = Atomics.load(shared, 1);
      quiet = now === seen ? quiet + 1 : 0;
      seen = now;
      if (quiet < looks) return;
      clearInterval(clock);
      const message = `Rank ${rank} on ${hostname()} has not got on for ${times * timeoutSeconds} seconds`;
      stuck(new RankError(message, { hint: "Look at what it reads: a disk or a network folder may hang" }));
    },
    ((times * timeoutSeconds) / looks) * 1000,
  );
  clock.unref();
  return () => clearInterval(clock);
}
