// The files by which a run in progress is controlled, in the folder `control` of its folder: `state.json` by the run, a
// request by whoever asks, and an answer to it by the run. Each appears whole, under its final name.
import { closeSync, fstatSync, constants as modes, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { moduleRule } from "../../settings/precision-changes.js";

const name = z.enum(["pause", "go-on", "stop", "undo"]);
const command = z.union([
  z.object({ command: name }),
  z.object({ command: z.literal("override"), pattern: z.string().min(1).max(1000), rule: moduleRule }),
]);
const request = z.intersection(command, z.object({ id: z.string().max(64), session: z.string().max(64) }));

/**
 * What a run in progress can be asked for.
 * - `pause`: after the step that it is at, save a checkpoint and wait, with everything kept in memory.
 * - `go-on`: end the pause.
 * - `stop`: save and end. The run can be resumed.
 * - `override`: give the modules whose path matches `pattern` a `rule` of precision, as `precision_overrides` does.
 * - `undo`: take back the last override that a command has set.
 */
export type ControlCommand = z.output<typeof command>;

/** A command as it lies in the folder. */
export type ControlRequest = z.output<typeof request>;

const state = z.object({
  /** Names the process that runs it now; a command to an earlier one is not obeyed. */
  session: z.string(),
  /** Whether it waits between two steps. */
  paused: z.boolean(),
  /** The last step before it was paused, went on or changed its precision; for a run that only trains, its first. */
  step: z.number(),
  /** The overrides that hold from the next step. */
  overrides: z.record(z.string(), moduleRule),
  /** How many of them `undo` can take back. */
  undoable: z.number(),
});

/** What a run in progress says of itself. */
export type ControlState = z.output<typeof state>;

const answer = state.extend({
  /** Whether the run obeys. */
  accepted: z.boolean(),
  /** What it does, or why it does not: one sentence. */
  message: z.string(),
});

/** The answer of a run, with its state then. `step` is the last step before the command; it holds from the next. */
export type ControlAnswer = z.output<typeof answer>;

/** The path of a file of the folder `control`. */
export const controlFile = (run: string, ...names: string[]): string => join(run, "control", ...names);
/** The path of the request with an id. */
export const requestFile = (run: string, id: string): string => controlFile(run, `request-${id}.json`);
/** The path of the answer to the request with an id. */
export const answerFile = (run: string, id: string): string => controlFile(run, `answer-${id}.json`);
/** The path of the file with the state of the run. */
export const stateFile = (run: string): string => controlFile(run, "state.json");

/** Bytes of the largest file of the folder that is read. */
const longest = 1 << 20;

/**
 * Reads a file of the folder `control`.
 * @returns null where there is none, or it holds something else
 */
function readChecked<T>(path: string, schema: z.ZodType<T>, owner: number | null): T | null {
  let handle: number;
  try {
    handle = openSync(path, modes.O_RDONLY | modes.O_NOFOLLOW | modes.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const stats = fstatSync(handle);
    if (!stats.isFile() || stats.size > longest || (owner !== null && stats.uid !== owner)) return null;
    return schema.safeParse(JSON.parse(readFileSync(handle, "utf8"))).data ?? null;
  } catch {
    return null;
  } finally {
    closeSync(handle);
  }
}

/** What the run says of itself; null where it says nothing. */
export const readState = (run: string): ControlState | null => readChecked(stateFile(run), state, null);

/** The answer to the request with an id; null where there is none yet. */
export const readAnswer = (run: string, id: string): ControlAnswer | null =>
  readChecked(answerFile(run, id), answer, null);

/**
 * Reads a request. @param owner the user whose file it must be; null where the system has no users
 * @returns null for what is none
 */
export const readRequest = (path: string, owner: number | null): ControlRequest | null =>
  readChecked(path, request, owner);
