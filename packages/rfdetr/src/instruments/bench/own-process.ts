// Measurements in processes of their own. The peak memory of a process never falls, so that what one measurement took
// would count in the next.
import { fork } from "node:child_process";
import { type SentError, unpackError } from "../../support/error-transfer.js";
import { InternalError, MemoryError } from "../../support/errors.js";
import { endWithThis } from "../../support/machine/children.js";
import { workerFlags, workerScript } from "../../support/machine/worker-path.js";
import type { InferBench, InferBenchOptions } from "./bench-infer.js";
import type { LoadBench, LoadBenchOptions } from "./bench-load.js";
import type { TrainBench, TrainBenchOptions } from "./bench-train.js";

/** What is measured in a process of its own: what it is asked for, and its figures. */
export interface OwnBenches {
  train: { options: TrainBenchOptions; result: TrainBench };
  infer: { options: InferBenchOptions; result: InferBench };
  load: { options: LoadBenchOptions; result: LoadBench };
}

/** What the process is asked for. */
export type BenchRequest = {
  [K in keyof OwnBenches]: { kind: K; options: OwnBenches[K]["options"] };
}[keyof OwnBenches];

/** What it answers. */
export type BenchReply = { result: OwnBenches[keyof OwnBenches]["result"] } | { error: SentError };

/**
 * Measures in a fresh process. @internal for tests
 * @param signal ends the process
 * @throws what the measurement throws
 * @throws MemoryError if the system ended the process for want of memory
 */
export function inOwnProcess<K extends keyof OwnBenches>(
  kind: K,
  options: OwnBenches[K]["options"],
  signal?: AbortSignal,
): Promise<OwnBenches[K]["result"]> {
  const child = fork(workerScript(import.meta.url, "bench-worker.js"), [`bench=${kind}`], {
    // Results go to the standard output of this process alone.
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    serialization: "advanced",
    ...workerFlags(),
  });
  endWithThis(child);
  const stop = (): void => void child.kill();
  signal?.addEventListener("abort", stop);
  return new Promise<OwnBenches[K]["result"]>((resolve, reject) => {
    child.on("message", (reply: BenchReply) => {
      if ("result" in reply) resolve(reply.result);
      else unpackError(reply.error).then(reject, reject);
    });
    child.on("error", reject);
    child.on("close", (code, killed) => {
      reject(
        killed === "SIGKILL"
          ? new MemoryError("Expected enough memory to measure, but the system ended the process (SIGKILL)")
          : new InternalError(`The process of a measurement ended with ${killed ?? `code ${code}`}`),
      );
    });
    child.send({ kind, options } satisfies { kind: K; options: OwnBenches[K]["options"] });
  }).finally(() => signal?.removeEventListener("abort", stop));
}

/**
 * Measures each of several, `rounds` times, in turns A B A B, so that a machine that becomes slower slows all of them.
 * @param progress receives what is measured next, by its place in the list
 * @returns the rounds of each
 */
export async function inTurns<K extends keyof OwnBenches>(
  kind: K,
  list: readonly OwnBenches[K]["options"][],
  {
    rounds,
    progress,
    signal,
  }: { rounds: number; progress?: (at: number, round: number) => void; signal?: AbortSignal },
): Promise<OwnBenches[K]["result"][][]> {
  const results: OwnBenches[K]["result"][][] = list.map(() => []);
  for (let round = 1; round <= rounds; round++)
    for (const [at, options] of list.entries()) {
      progress?.(at, round);
      results[at].push(await inOwnProcess(kind, options, signal));
    }
  return results;
}
