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

/** Runs `exportOnnx` in a thread of its own. @throws what it throws */
export function exportInThread(
  options: ThreadOptions,
  {
    warn,
    onBadImage = warn,
    progress,
  }: { warn: (message: string) => void; onBadImage?: (message: string) => void; progress: ExportOptions["progress"] },
): Promise<ExportResult> {
  letThreadsSleep();
  refuseTelemetry();
  const worker = new Worker(workerScript(import.meta.url, "export-worker.js"), {
    ...workerFlags(),
    workerData: options,
  });
  return new Promise((resolve, reject) => {
    worker.on("message", (reply: ExportReply) => {
      if ("progress" in reply) progress?.(...reply.progress);
      else if ("warning" in reply) warn(reply.warning);
      else if ("badImage" in reply) onBadImage(reply.badImage);
      else if ("result" in reply) resolve(reply.result);
      else unpackError(reply.error).then(reject, reject);
    });
    worker.on("error", (error) => endOfThread(error).then(reject, reject));
    worker.on("exit", (code) => reject(new InternalError(`The thread of an export ended with code ${code}`)));
  });
}
