// Commands to a running run from another process: through files in its folder, without a port. `ControlInbox` is the
// side of the run.
import { randomUUID } from "node:crypto";
import { renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RunDirectoryError } from "../../support/errors.js";
import { removeEmpty, writeFailure } from "../../support/files/atomic.js";
import { abortSignal, checkOptions, type OptionKinds } from "../../support/options.js";
import { RunDirectory } from "../files/run-directory.js";
import { RunLock } from "../files/run-lock.js";
import {
  answerFile,
  type ControlAnswer,
  type ControlCommand,
  type ControlRequest,
  type ControlState,
  controlFile,
  readAnswer,
  readState,
  requestFile,
} from "./control-files.js";

export type { ControlAnswer, ControlCommand, ControlState } from "./control-files.js";

/** Milliseconds between two looks for an answer. */
const interval = 50;
/** Seconds that a run may take for a command that it has taken, such as for the checkpoint of a pause. */
const working = 60;

/** How long to wait for the answer of a run. */
export interface ControlOptions {
  /** Seconds; default 120. The answer comes after the step, or the evaluation, that the run is at. */
  patience?: number;
  /** Takes the command back where it was not taken yet. */
  signal?: AbortSignal;
}

const controlOptions: OptionKinds<ControlOptions> = {
  // A program may wait as long as it takes.
  patience: { takes: "number above 0", fits: (value) => typeof value === "number" && value > 0 },
  signal: abortSignal,
};

/**
 * What a run in progress says of itself: whether it is paused, after which step, and which overrides hold.
 * @param folder the folder of the run
 * @returns null where it is not in progress, or cannot be controlled
 * @example
 * import { controlState } from "rfdetr/run";
 * if (controlState("runs/nano")?.paused) console.log("paused");
 */
export function controlState(folder: string): ControlState | null {
  return RunLock.isHeld(folder) ? readState(folder) : null;
}

/**
 * Asks a run in progress for something, and waits for its answer. A run looks for commands after each step. While it
 * evaluates it obeys `stop` at once, and others after its next step. A command that was not taken in time is taken
 * back.
 * @param folder the folder of the run
 * @throws RunDirectoryError where the folder is not that of a run in progress, belongs to another user, or no answer
 * comes
 * @example
 * import { requestControl } from "rfdetr/run";
 * const answer = await requestControl("runs/nano", { command: "override", pattern: "bbox_embed", rule: "fp32" });
 * console.log(answer.accepted, answer.message);
 */
export async function requestControl(
  folder: string,
  command: ControlCommand,
  options: ControlOptions = {},
): Promise<ControlAnswer> {
  checkOptions("requestControl", options, controlOptions);
  const { patience = 120, signal } = options;
  const { path } = RunDirectory.at(folder);
  if (RunLock.isHeld(path)) refuseForeign(path);
  const state = controlState(path);
  if (state === null)
    throw new RunDirectoryError(
      RunLock.isHeld(path)
        ? `Expected a run in progress in ${path} that takes commands but it takes none`
        : `Expected a run in progress in ${path} but no process trains there`,
    );
  // The time leads, so that the run obeys in the order of the requests.
  const id = `${String(Date.now()).padStart(14, "0")}-${randomUUID()}`;
  ask(path, { ...command, id, session: state.session });
  try {
    const answer = await answered(path, id, patience, signal);
    if (answer !== null) return answer;
    // Where it is gone, the run has taken it.
    if (takenBack(path, id))
      throw new RunDirectoryError(
        `The run ${path} has not answered for ${patience} seconds, and the command was taken back`,
        { hint: "It answers after the step or the evaluation that it is at: wait longer" },
      );
    const late = await answered(path, id, working, signal);
    if (late !== null) return late;
    throw new RunDirectoryError(`The run ${path} took the command but has not answered`, {
      hint: "Its log.txt says whether it obeyed",
    });
  } finally {
    takenBack(path, id);
    rmSync(answerFile(path, id), { force: true });
    if (!RunLock.isHeld(path)) removeEmpty([controlFile(path)]);
  }
}

/** @returns the answer, or null where none comes in time @throws RunDirectoryError where the run ends before */
async function answered(
  path: string,
  id: string,
  patience: number,
  signal: AbortSignal | undefined,
): Promise<ControlAnswer | null> {
  const until = performance.now() + 1000 * patience;
  for (;;) {
    const running = RunLock.isHeld(path);
    const answer = readAnswer(path, id);
    if (answer !== null) return answer;
    if (!running) throw new RunDirectoryError(`The run ${path} ended before it answered`);
    if (performance.now() > until) return null;
    await sleep(interval, undefined, { signal });
  }
}

/** @throws RunDirectoryError for the run of another user, whose state only that user can read */
function refuseForeign(path: string): void {
  const owner = statSync(controlFile(path), { throwIfNoEntry: false })?.uid;
  if (process.getuid !== undefined && owner !== undefined && owner !== process.getuid())
    throw new RunDirectoryError(`The run ${path} is that of another user, who alone can control it`);
}

/** Puts a command where the run finds it. */
function ask(path: string, request: ControlRequest): void {
  const temporary = controlFile(path, `${request.id}.partial`);
  try {
    writeFileSync(temporary, JSON.stringify(request), { mode: 0o600, flag: "wx" });
    renameSync(temporary, requestFile(path, request.id));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw writeFailure(controlFile(path), error);
  }
}

/** Removes a request. @returns whether it was still there: then the run has not seen it */
function takenBack(path: string, id: string): boolean {
  try {
    rmSync(requestFile(path, id));
    return true;
  } catch {
    return false;
  }
}
