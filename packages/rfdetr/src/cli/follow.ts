// A training run on the console, until its end.
import { formatBytes } from "@rfdetr/amp/text";
import type { RunSummary } from "../run/files/run-directory.js";
import type { TrainRun } from "../run/train-run.js";
import type { Console } from "./console.js";
import { exit } from "./context.js";
import { counted, duration, fraction } from "./format.js";
import { exitCodes, StopRequests } from "./stop-requests.js";
import { TrainConsole } from "./train-console.js";

/** Why a run ended, in words. */
const endings: Readonly<Record<RunSummary["stop_reason"], string>> = {
  finished: "finished",
  max_steps: "stopped by max_steps",
  early_stopping: "stopped early, as its figure no longer improved",
  interrupted: "interrupted",
  failed: "failed",
};

/**
 * Shows a run until its end. The first Ctrl-C, SIGTERM or hang-up saves a checkpoint and stops it, a later one quits at
 * once.
 * @returns the exit code
 */
export async function follow(run: TrainRun, console: Console): Promise<number> {
  const events = run[Symbol.asyncIterator]();
  const view = new TrainConsole(console);
  let folder: string | null = null;
  const requests = new StopRequests({
    stop: () => run.stop(),
    say: (line) => console.progress(line),
    resume: () => (folder === null ? null : `npx rfdetr train --resume ${folder}`),
  });
  console.live("reading the data");
  try {
    for await (const event of events) {
      requests.alive();
      if (event.type === "start") folder = event.dir;
      if (event.type === "done") requests.ended();
      if (console.json) console.data(event);
      view.show(event);
    }
  } finally {
    requests.close();
    console.end();
  }
  const { summary, dir, best, last, endedBefore } = await run.result;
  if (summary.stop_reason === "interrupted") {
    console.progress(`Stopped after step ${summary.steps}. Continue with: npx rfdetr train --resume ${dir}`);
    if (best === null && last !== null) console.progress(`last weights ${last}`);
    return exitCodes[requests.received ?? "SIGINT"];
  }
  if (endedBefore) {
    const trained = counted(summary.epochs, "epoch");
    console.progress(`The run ${dir} has ended already: ${endings[summary.stop_reason]} after ${trained}`);
    const weights = best ?? last ?? dir;
    const more =
      summary.stop_reason === "max_steps"
        ? `--set max_steps=N above ${summary.steps}`
        : `--epochs above ${summary.epochs}`;
    console.progress(`Train on with ${more}, or begin a new run with --weights ${weights}`);
  }
  console.result();
  const figures = console.bold(`AP ${fraction(summary.AP)}  AP50 ${fraction(summary.AP50)}`);
  const steps = `${counted(summary.steps, "step")} (${summary.skipped_steps} skipped)`;
  const memory = `peak memory ${formatBytes(summary.peak_rss_bytes)}`;
  console.result(`${figures}  in ${duration(summary.train_seconds)}, ${steps}, ${memory}`);
  if (best !== null) console.result(`best weights ${best}`);
  else if (last !== null) console.result(`last weights ${last}`);
  if (summary.bad_images > 0)
    console.progress(`${counted(summary.bad_images, "image")} could not be read and took no part`);
  return summary.bad_images > 0 ? exit.partial : exit.done;
}
