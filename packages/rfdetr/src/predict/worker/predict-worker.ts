// The prediction thread: it owns the models, so that the thread of the caller stays free.
import { parentPort } from "node:worker_threads";
import { packError } from "../../support/error-transfer.js";
import { InternalError } from "../../support/errors.js";
import { ModelHost } from "./model-host.js";
import type { Reply, Request } from "./remote-model.js";

const port = parentPort;
if (port === null) throw new InternalError("The prediction thread must be started as a worker");
const host = new ModelHost();
/** Detections that can still be cancelled, by request. */
const running = new Map<number, AbortController>();

port.on("message", async (request: Request) => {
  const { id } = request;
  if (request.type === "cancel") {
    running.get(id)?.abort();
    return;
  }
  try {
    port.postMessage({ id, value: await answer(request) } satisfies Reply);
  } catch (error) {
    port.postMessage({ id, error: packError(error) } satisfies Reply);
  } finally {
    running.delete(id);
  }
});

function answer(request: Exclude<Request, { type: "cancel" }>): unknown {
  if (request.type === "load") return host.load(request.model);
  if (request.type === "free") return host.free(request.key);
  const stop = new AbortController();
  running.set(request.id, stop);
  return host.detect(request.key, request.images, request.options, stop.signal);
}
