// The training thread. The main thread stays free for the console and Ctrl-C.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../../support/error-transfer.js";
import { InternalError } from "../../support/errors.js";
import { savingWords, tellSaving } from "../../support/files/saving.js";
import { strayFailure } from "../callbacks/open-callbacks.js";
import { savingOf } from "../control/stop-request.js";
import { customCode } from "../custom-code.js";
import { loadersOf } from "../launch/shares.js";
import { openTrainData } from "../session/open-train-data.js";
import type { OpenTrainData } from "../session/training-data.js";
import { train } from "../trainer.js";
import type { ThreadRequest, WorkerMessage } from "./train-request.js";

const port = parentPort;
if (port === null) throw new InternalError("The training thread must be started as a worker");
const post = (message: WorkerMessage) => port.postMessage(message);
/** What was thrown where nobody waits for it, such as a failed promise, ends the run like any other failure. */
const fail = (error: unknown): void => {
  post({ failure: packError(strayFailure(error)) });
  process.exit(1);
};
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

const asked = workerData as ThreadRequest;
const { place } = asked;
if (savingOf(asked.stop).length >= savingWords) tellSaving(savingOf(asked.stop));
/** The processes of a machine share the threads that load images. */
const open: OpenTrainData = (settings, ...rest) => {
  post({ own: customCode(settings, place?.rank ?? 0) });
  const numWorkers = place == null ? settings.numWorkers : loadersOf(place, settings.numWorkers);
  return openTrainData({ ...settings, numWorkers }, ...rest);
};
const failing = (error: unknown): void => post({ failing: error === null ? null : packError(error) });
try {
  for await (const event of train(asked, open, failing)) post({ event });
  post({ done: true });
} catch (error) {
  post({ failure: packError(error) });
}
