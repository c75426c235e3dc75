// Trains in several processes of this machine, and starts them anew when one is lost.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { addHint, RfdetrError } from "../../support/errors.js";
import { shellWord } from "../../support/format.js";
import type { StopRequest } from "../control/stop-request.js";
import type { TrainEvent } from "../events/events.js";
import { RunLock } from "../files/run-lock.js";
import { failureOf, type GroupFailure } from "./group-failure.js";
import type { RankRequest } from "./messages.js";
import { runGroup } from "./rank-group.js";
import type { RankProgram } from "./rank-process.js";

/** A run in several processes of this machine. */
export interface LaunchOptions {
  request: Omit<RankRequest, "place">;
  program: RankProgram;
  processes: number;
  /** How often all processes are started anew when one is lost. */
  maxRestarts: number;
  stop: StopRequest;
  emit: (event: TrainEvent) => void;
}

/**
 * Trains in several processes. The events of the run are rank 0's, and warnings of the others.
 * @returns when all have ended; rejects with one cause where they failed
 */
export async function trainInProcesses(options: LaunchOptions): Promise<void> {
  const { program, processes, maxRestarts, stop, emit } = options;
  let { request } = options;
  let folder: string | null = null;
  const follow = (event: TrainEvent): void => {
    if (event.type === "start") folder = event.dir;
    emit(event);
  };
  for (let attempt = 0; ; attempt++) {
    const group = { request, program, size: processes, attempt, stop, emit: follow };
    const ranks = await runGroup(group);
    const failure = await failureOf(ranks, request.settings.processTimeout);
    if (failure === null) return;
    const run = folder ?? request.resume ?? begun(request.settings.outputDir);
    const first = ranks[0]?.pid;
    // A process that was killed does not give its run free.
    if (run !== null && first !== undefined) RunLock.abandon(run, first);
    if (!failure.lost || run === null || stop.asked || attempt >= maxRestarts) throw withFolder(failure, run);
    const why = failure.error instanceof Error ? failure.error.message : String(failure.error);
    emit({
      type: "warning",
      message: `${why}. All ${processes} processes start anew from the last checkpoint (restart ${attempt + 1} of at most ${maxRestarts})`,
    });
    const { resumeConfig } = await import("../session/resume.js");
    request = {
      ...request,
      settings: { ...resumeConfig(run), processTimeout: request.settings.processTimeout },
      resume: run,
    };
  }
}

/** Adds to the loss of a process how the run goes on. @returns the error */
function withFolder({ error, lost }: GroupFailure, run: string | null): unknown {
  return lost && run !== null && RfdetrError.is(error)
    ? addHint(error, `Continue the run with \`resume\` ${shellWord(run)}`)
    : error;
}

/** The folder that was asked for, if a run was begun in it. */
function begun(folder: string | null): string | null {
  return folder !== null && existsSync(join(folder, "config.json")) ? folder : null;
}
