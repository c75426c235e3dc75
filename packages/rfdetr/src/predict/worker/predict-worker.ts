// The prediction thread: it owns the models, so that the thread of the caller stays free.
import { parentPort } from "node:worker_threads";
import type { RawImage } from "../../pictures/picture.js";
import { packError, type SentError } from "../../support/error-transfer.js";
import { InternalError } from "../../support/errors.js";
import { append } from "../../support/lists.js";
import type { ImagePrediction } from "../types.js";
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
  const lent = request.type === "detect" && request.lend ? request.images.map((image) => (image as RawImage).data) : [];
  let reply: Reply;
  try {
    reply = { id, value: await answer(request) };
  } catch (error) {
    reply = { id, error: packError(error) };
  }
  running.delete(id);
  const buffers = lent.map(({ buffer }) => buffer as ArrayBuffer);
  if (request.type === "detect" && "value" in reply) append(buffers, maskBuffers(reply.value as ImagePrediction[]));
  port.postMessage(lent.length === 0 ? reply : { ...reply, back: lent }, buffers);
});

/** The memory of masks, which is moved to the caller and not copied. */
function maskBuffers(results: readonly (ImagePrediction | SentError)[]): Set<ArrayBuffer> {
  const masks = results.flatMap((result) => ("detections" in result ? result.detections : [])).map(({ mask }) => mask);
  return new Set(masks.flatMap((mask) => (mask === undefined ? [] : (mask.counts.buffer as ArrayBuffer))));
}

function answer(request: Exclude<Request, { type: "cancel" }>): unknown {
  if (request.type === "load") return host.load(request.model);
  if (request.type === "free") return host.free(request.key);
  const stop = new AbortController();
  running.set(request.id, stop);
  return host.detect(request.key, request.images, request.options, stop.signal);
}
