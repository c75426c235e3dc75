// Several processes that train together as planned, for tests.
import { fork } from "node:child_process";
import type { TrainEvent } from "../../run/events/events.js";
import { openStoreSocket } from "../../run/launch/store-socket.js";
import type { SentError } from "../../support/error-transfer.js";
import { workerScript } from "../../support/machine/worker-path.js";
import type { PlannedRun } from "./planned-run.js";

/** How a process has ended: `done`, with its error, or `null` where it said nothing. */
export type RankEnd = "done" | SentError | null;

/** What came of several processes. */
export interface GroupResult {
  /** Of rank 0. */
  events: TrainEvent[];
  /** In the order of the ranks. */
  ends: RankEnd[];
}

/** The file descriptor after those of Node and of its channel. */
const storeFd = 4;

/**
 * Trains in several processes with one thread each; in a process of its own where it is one.
 * @param heard receives each event of rank 0 as it comes
 */
export async function plannedGroup(
  size: number,
  plan: PlannedRun,
  { timeoutSeconds = 60, heard = () => {} }: { timeoutSeconds?: number; heard?: (event: TrainEvent) => void } = {},
): Promise<GroupResult> {
  const socket = await openStoreSocket();
  const script = workerScript(import.meta.url, "planned-rank.js");
  const events: TrainEvent[] = [];
  const start = (rank: number): Promise<RankEnd> => {
    const child = fork(script, [], {
      stdio: ["ignore", "inherit", "inherit", "ipc", ...(rank === 0 ? [socket.fd] : [])],
      serialization: "advanced",
      env: { ...process.env, OMP_NUM_THREADS: "1" },
    });
    const place = {
      rank,
      size,
      localRank: rank,
      localSize: size,
      address: "127.0.0.1",
      port: socket.port,
      ...(rank === 0 ? { storeFd } : {}),
      isStoreServer: rank === 0,
      prefix: "rfdetr/planned",
      timeoutSeconds,
    };
    child.send({ ...plan, request: { ...plan.request, ...(size === 1 ? {} : { place }) } });
    let end: RankEnd = null;
    child.on("message", (message: { event: TrainEvent } | { done: true } | { failure: SentError }) => {
      if ("event" in message) {
        events.push(message.event);
        heard(message.event);
      } else end = "done" in message ? "done" : message.failure;
    });
    return new Promise((resolve) => child.once("close", () => resolve(end)));
  };
  const ends = Promise.all(Array.from({ length: size }, (_, rank) => start(rank)));
  socket.close();
  return { ends: await ends, events };
}
