// The thread of an export: libtorch and onnxruntime compute on the thread that calls them.
import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import { exportOnnx } from "./export-onnx.js";
import type { ExportReply, ThreadOptions } from "./export-thread.js";

const port = parentPort;
if (port === null) throw new InternalError("The thread of an export must be started as a worker");
const send = (reply: ExportReply): void => port.postMessage(reply);
const { classNumbering, ...options } = workerData as ThreadOptions;

try {
  const result = await exportOnnx({
    ...options,
    reading: { classNumbering, warn: (message) => send({ warning: message }) },
    onBadImage: (message) => send({ badImage: message }),
    progress: (doing, done, total) => send({ progress: [doing, done, total] }),
  });
  send({ result });
} catch (error) {
  send({ error: packError(error) });
}
