// The thread that looks, once a second, how a group of processes ends; see `watchGroupEnd`. The training thread may be
// stuck, and calls of the store block.
import { parentPort, workerData } from "node:worker_threads";
import { distributed } from "@rfdetr/torch";
import { InternalError } from "../../support/errors.js";
import { savingIn } from "../../support/files/saving.js";
import { ownActivity } from "../../support/machine/process-activity.js";
import { savingOf } from "../control/stop-request.js";
import { EndJudge } from "./end-judge.js";
import type { EndThreadData } from "./group-end.js";

if (parentPort === null) throw new InternalError("The thread that watches a group must be started as a worker");
const { stop, place, patience, control } = workerData as EndThreadData;
const judge = new EndJudge(new distributed.Store(place.rank), place, patience, {
  asked: () => Atomics.load(stop, 0) !== 0,
  saves: () => savingIn(savingOf(stop)) !== null,
  activity: ownActivity(),
  abort: () => distributed.ProcessGroup.abort(),
});
while (Atomics.wait(control, 0, 0, 1000) === "timed-out") {
  try {
    const why = judge.look();
    if (why !== null) parentPort.postMessage(why);
    Atomics.add(control, 1, 1);
  } catch {
    // Without its store nobody is judged; who started this thread sees that it has not looked.
  }
}
try {
  judge.leave();
} catch {
  // The store has gone with its process.
}
