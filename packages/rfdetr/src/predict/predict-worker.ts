// The prediction thread: it owns the models, so that the thread of the caller stays free.
import { parentPort } from "node:worker_threads";
import { packError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import { ModelHost } from "./model-host.js";
import type { Reply, Request } from "./remote-model.js";

const port = parentPort;
if (port === null) throw new InternalError("The prediction thread must be started as a worker");
const host = new ModelHost();

port.on("message", async (request: Request) => {
  const { id } = request;
  try {
    port.postMessage({ id, value: await answer(request) } satisfies Reply);
  } catch (error) {
    port.postMessage({ id, error: packError(error) } satisfies Reply);
  }
});

function answer(request: Request): unknown {
  if (request.type === "load") return host.load(request.model);
  if (request.type === "free") return host.free(request.key);
  return host.detect(request.key, request.images, request.options);
}
