// Exports in a thread of its own, so that the thread of the caller stays free.
import { Worker } from "node:worker_threads";
import { endOfThread, type SentError, unpackError } from "../support/error-transfer.js";
import { InternalError } from "../support/errors.js";
import { letThreadsSleep } from "../support/machine/openmp.js";
import { refuseTelemetry } from "../support/machine/telemetry.js";
import { workerFlags, workerScript } from "../support/machine/worker-path.js";
import type { ReadOptions } from "../weights/types.js";
import type { ExportOptions, ExportResult } from "./export-onnx.js";

/** What the thread is started with. */
export interface ThreadData {
  options: ThreadOptions;
  /** One word of shared memory: other than 0 where the export is to end. */
  stop: Int32Array;
}

/** What is exported in a thread. */
export type ThreadOptions = Omit<ExportOptions, "reading" | "pass" | "onBadImage" | "progress"> & {
  classNumbering: ReadOptions["classNumbering"];
};

/** What the thread sends. */
export type ExportReply =
  | { progress: Parameters<NonNullable<ExportOptions["progress"]>> }
  | { warning: string }
  | { badImage: string }
  | { result: ExportResult }
  | { error: SentError };

/** What is told of an export meanwhile, and what ends it. */
interface Listener {
  warn: (message: string) => void;
  onBadImage?: (message: string) => void;
  progress: ExportOptions["progress"];
  signal?: AbortSignal;
}

/**
 * Runs `exportOnnx` in a thread of its own.
 * @throws what it throws, what a function of the listener throws, and the reason of the signal when it is aborted: then
 * the thread has removed what it wrote
 */
export async function exportInThread(options: ThreadOptions, listener: Listener): Promise<ExportResult> {
  const { signal } = listener;
  signal?.throwIfAborted();
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const abort = (): void => void Atomics.store(stop, 0, 1);
  signal?.addEventListener("abort", abort, { once: true });
  let thrown: { error: unknown } | null = null;
  try {
    return await inThread({ options, stop }, listener, (error) => {
      thrown ??= { error };
      abort();
    });
  } catch (error) {
    const first = thrown as { error: unknown } | null;
    if (first !== null) throw first.error;
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** @param failed is called with what a function of the listener throws */
function inThread(
  data: ThreadData,
  { warn, onBadImage = warn, progress }: Listener,
  failed: (error: unknown) => void,
): Promise<ExportResult> {
  letThreadsSleep();
  refuseTelemetry();
  const worker = new Worker(workerScript(import.meta.url, "export-worker.js"), {
    ...workerFlags(),
    workerData: data,
  });
  return new Promise((resolve, reject) => {
    worker.on("message", (reply: ExportReply) => {
      if ("result" in reply) return resolve(reply.result);
      if ("error" in reply) return void unpackError(reply.error).then(reject, reject);
      try {
        if ("progress" in reply) progress?.(...reply.progress);
        else if ("warning" in reply) warn(reply.warning);
        else onBadImage(reply.badImage);
      } catch (error) {
        failed(error);
      }
    });
    worker.on("error", (error) => endOfThread(error).then(reject, reject));
    worker.on("exit", (code) => reject(new InternalError(`The thread of an export ended with code ${code}`)));
  });
}
