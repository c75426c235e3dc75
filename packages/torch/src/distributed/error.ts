// The error of collectives, and its sentences for what c10d and Gloo report.
import { hostname } from "node:os";
import { TorchError } from "../errors.js";

/**
 * A process of a group is gone, does not answer, or does something else than the others; or the group could not be
 * joined. The message names the rank and the host that report it.
 *
 * What to do: look at the log of the rank that ended first. See docs/several-processes.md.
 */
export class DistributedError extends TorchError {
  readonly code = "ERR_DISTRIBUTED";
  /** The rank of this process. */
  declare readonly rank?: number;
}

/**
 * What the addon reports, by the words that tell it from others, with what it means (null: the report says it itself)
 * and what to look at.
 */
const meanings: readonly [words: RegExp, what: string | null, hint: string][] = [
  [
    /Connection (closed|reset|refused)|Broken pipe|Application timeout caused pair closure|Socket closed|got 0 bytes/,
    "the connection to another rank broke",
    "Another rank ended or its host is gone: look at its last lines",
  ],
  [
    /Timed out waiting (\d+)ms for (recv|send)|wait timeout after|Operation timed out/,
    "another rank did not answer in time",
    "A rank hangs, is much slower than the others, or the network between the hosts is cut",
  ],
  [
    /^these ranks did not come in time/,
    null,
    "Start as many processes as the world size says, each with a rank of its own, and look at the logs of these",
  ],
  [/^ProcessGroupNCCL is only supported with GPUs/, "no GPU is seen", "Train on the CPU, or see docs/gpu.md"],
  [/without NCCL/, null, "Set the engine up with CUDA anew, or install nvidia-cuda-crt beside the PyTorch in use"],
  [/^two processes have rank|^the ranks differ/, null, "Start all processes with the same command and their own ranks"],
  [
    /EADDRINUSE|address already in use/,
    "the port of the store is taken",
    "Choose another MASTER_PORT, and start one process only as rank 0",
  ],
  [
    /client socket has timed out|failed to connect|Name or service not known|name resolution|Ping failed/,
    "rank 0 was not reached",
    "Check MASTER_ADDR and MASTER_PORT (another program may answer there), the firewall, and that rank 0 runs",
  ],
];

/** Whether an error of backward tells of the group. */
export function isBroken(error: unknown): boolean {
  return error instanceof Error && meanings.some(([words]) => words.test(error.message));
}

/** An error of this rank. @param cause what the addon threw */
export function groupFailure(what: string, rank: number, cause: unknown): DistributedError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const meaning = meanings.find(([words]) => words.test(text));
  const reason = meaning?.[1] ?? text.split("\n")[0];
  const error = new DistributedError(`Rank ${rank} on ${hostname()} could not ${what}: ${reason}`, {
    cause,
    ...(meaning === undefined ? {} : { hint: meaning[2] }),
  });
  return Object.assign(error, { rank });
}

/** Runs `body`, a call of the addon. @throws DistributedError of this rank where it fails */
export function reportFailure<T>(what: string, rank: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw groupFailure(what, rank, error);
  }
}
