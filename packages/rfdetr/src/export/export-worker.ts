// The thread of an export: libtorch and onnxruntime compute on the thread that calls them.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../support/error-transfer.js";
import { ExportError, InternalError } from "../support/errors.js";
import { exportOnnx } from "./export-onnx.js";
import type { ExportReply, ThreadData } from "./export-thread.js";

const port = parentPort;
if (port === null) throw new InternalError("The thread of an export must be started as a worker");
const send = (reply: ExportReply): void => port.postMessage(reply);
const {
  options: { classNumbering, ...options },
  stop,
} = workerData as ThreadData;
/** Ends the export where that was asked for. */
const check = (): void => {
  if (Atomics.load(stop, 0) !== 0) throw new ExportError("The export was stopped");
};

try {
  const result = await exportOnnx({
    ...options,
    reading: { classNumbering, warn: (message) => send({ warning: message }) },
    pass: check,
    onBadImage: (message) => send({ badImage: message }),
    progress: (...progress) => {
      check();
      send({ progress });
    },
  });
  send({ result });
} catch (error) {
  send({ error: packError(error) });
}
