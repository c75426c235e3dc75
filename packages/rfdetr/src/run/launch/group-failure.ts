// Why a group of processes failed: one cause, out of what each of them said and how it ended.
import { hostname } from "node:os";
import { type SentError, unpackError } from "../../support/error-transfer.js";
import { RankError } from "../../support/errors.js";
import type { RankProcess } from "./rank-process.js";

/** What is known of a process that has ended. */
export type EndedRank = Pick<RankProcess, "rank" | "failure" | "done" | "exit" | "killed" | "lastLine"> &
  Partial<Pick<RankProcess, "hung">>;

/** Why a group failed. */
export interface GroupFailure {
  error: unknown;
  /** Whether a process was lost, or the connection to it, so that another attempt may succeed. */
  lost: boolean;
}

/** Codes of errors that tell of another process. */
const ofOthers: ReadonlySet<string | undefined> = new Set(["ERR_DISTRIBUTED", "ERR_RANK"]);

/**
 * The cause of a failure; null for a group that is done. What a process said of itself comes first, then a process that
 * was ended from outside, then one that did not answer, and last what the others said of it.
 * @param timeoutSeconds after which a process counts as lost
 */
export async function failureOf(ranks: readonly EndedRank[], timeoutSeconds: number): Promise<GroupFailure | null> {
  // Once rank 0 has written everything, how the others end does not matter.
  if (ranks[0]?.done) return null;
  const own = ranks.find(({ failure }) => failure !== null && !ofOthers.has(failure.code));
  if (own !== undefined) return { error: await sayWhich(own.rank, own.failure as SentError), lost: false };
  const hung = ranks.find((rank) => rank.hung != null && rank.killed);
  if (hung !== undefined) return { error: new RankError(`${named(hung.rank)} ${hung.hung}`), lost: true };
  const gone = ranks.find(({ failure, done, killed }) => failure === null && !done && !killed);
  if (gone !== undefined) return { error: goneError(gone), lost: true };
  const silent = ranks.find(({ failure, done, killed }) => failure === null && !done && killed);
  if (silent !== undefined)
    return {
      error: new RankError(`${named(silent.rank)} did not answer the others for ${timeoutSeconds} seconds`, {
        hint: "Look at what its host did meanwhile: a disk that hangs, memory that is swapped, a debugger. `process_timeout` says how long the others wait",
      }),
      lost: true,
    };
  const told = ranks.find(({ failure }) => failure !== null);
  if (told === undefined) return null;
  return { error: await unpackError(told.failure as SentError), lost: true };
}

/** An error of rank 0 stays as it is in a run of one process; that of another says which. */
async function sayWhich(rank: number, sent: SentError): Promise<Error> {
  const error = await unpackError(sent);
  if (rank === 0 || sent.family === undefined) return error;
  return new RankError(`${named(rank)} ended: ${sent.message}`, {
    cause: error,
    ...(sent.hint === undefined ? {} : { hint: sent.hint }),
  });
}

function goneError({ rank, exit, lastLine }: EndedRank): RankError {
  const how =
    exit?.signal != null
      ? `was ended by ${exit.signal}`
      : exit?.code != null
        ? `ended with code ${exit.code}`
        : "could not be started";
  const hint = [
    ...(exit?.signal === "SIGKILL"
      ? ["If nobody did that, memory ran out: the log of the system (dmesg) says so"]
      : []),
    ...(lastLine === null ? [] : [`It said last: ${lastLine}`]),
  ].join(". ");
  return new RankError(`${named(rank)} ${how}`, hint === "" ? {} : { hint });
}

const named = (rank: number): string => `Rank ${rank} on ${hostname()}`;
