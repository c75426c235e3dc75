// A training run on the console, until its end.
import type { RunSummary } from "../../run/files/run-directory.js";
import { recordLaunch } from "../../run/launch/last-launch.js";
import type { TrainRun } from "../../run/train-run.js";
import { endInWords } from "../../run/transcript/ending.js";
import { counted, shellWord, shownPath, unbroken, wholePath } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { resumeCommand } from "../console/next-command.js";
import { exit } from "../context.js";
import { exitCodes, RunStopper } from "../run-stopper.js";
import { silentConsole } from "./rank-console.js";
import { TrainConsole } from "./train-console.js";

/**
 * Shows a run until its end. The first Ctrl-C, SIGTERM or hang-up saves a checkpoint and stops it, a later one quits at
 * once.
 * @returns the exit code
 */
export async function follow(run: TrainRun, console: Console): Promise<number> {
  const events = run[Symbol.asyncIterator]();
  const isFirst = (run.place?.rank ?? 0) === 0;
  if (!isFirst) console = silentConsole();
  const view = new TrainConsole(console);
  let folder: string | null = null;
  const stopper = new RunStopper({
    stop: (signal) => run.stop(signal),
    quit: () => run.quit(),
    say: (line) => console.prose(line),
    saving: () => (run.saving === null ? null : wholePath(run.saving)),
    several: run.processes > 1,
    isJoining: () => run.isJoining,
    resume: () => (folder === null ? null : unbroken(resumeCommand(folder))),
  });
  console.live("reading the data");
  try {
    for await (const event of events) {
      stopper.alive();
      if (event.type === "start") {
        folder = event.dir;
        if (run.place !== null && isFirst) recordLaunch(folder, process.env);
      }
      if (event.type === "done") stopper.ended();
      if (console.json) console.data(event);
      view.show(event);
    }
  } finally {
    stopper.close();
    console.end();
  }
  const result = await run.result;
  const { summary, dir, endedBefore } = result;
  if (endedBefore) {
    const trained = counted(summary.epochs, "epoch");
    console.prose(`The run ${wholePath(dir)} has ended already: ${endInWords(summary)} after ${trained}`);
    console.progress(
      `Train on with ${howToGoOn(summary)}, or begin a new run with --weights ${shellWord(shownPath(dir))}`,
    );
  }
  view.ending(result, endedBefore && isFirst ? await dataOf(dir) : null);
  if (summary.stop_reason === "interrupted") return exitCodes[run.stoppedBy ?? "SIGINT"];
  return summary.bad_images > 0 ? exit.partial : exit.done;
}

/** The data of a run that has ended: it is not begun, which would name them. */
async function dataOf(dir: string): Promise<string> {
  const { resumeConfig } = await import("../../run/session/resume.js");
  return resumeConfig(dir).datasetDir;
}

const howToGoOn = ({ stop_reason: reason, steps, epochs }: RunSummary): string =>
  reason === "time_budget"
    ? "a longer --time-budget"
    : reason === "max_steps"
      ? `--set max_steps=N above ${steps}`
      : `--epochs above ${epochs}`;
