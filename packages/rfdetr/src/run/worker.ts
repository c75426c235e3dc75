// The training thread. The main thread stays free for the console and Ctrl-C.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import { openTrainData } from "./session/open-train-data.js";
import type { TrainRequest, WorkerMessage } from "./train-run.js";
import { train } from "./trainer.js";

const port = parentPort;
if (port === null) throw new InternalError("The training thread must be started as a worker");
const post = (message: WorkerMessage) => port.postMessage(message);
/** What was thrown where nobody waits for it, such as a failed promise, ends the run like any other failure. */
const fail = (error: unknown) => {
  post({ failure: packError(error) });
  process.exit(1);
};
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
try {
  for await (const event of train(workerData as TrainRequest, openTrainData)) post({ event });
} catch (error) {
  post({ failure: packError(error) });
}
