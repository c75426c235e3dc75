// `rfdetr dash`
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { checkPort, consoleOf, exit, numeric, type OutputFlags, withOutputFlags } from "../context.js";
import { untilSignal } from "../signals.js";

/** Where trainings put their runs unless told otherwise; it may not be there yet. */
const usualRuns = "runs";

interface DashFlags extends OutputFlags {
  port?: number | string;
}

/** Registers `rfdetr dash`. */
export function addDash(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("dash")
      .description("Show the runs of a folder in the browser while they train: curves, numerics, pictures")
      .argument("[runs]", "folder of runs, or the folder of one run", usualRuns)
      .option("--port <n>", "port of this machine (default: 7890, or any that is free)", numeric),
  ).action(async (runs: string, flags: DashFlags) => {
    const { port } = flags;
    checkPort(port);
    const { startDash } = await import("../../dash/server.js");
    const console = consoleOf(flags);
    const dash = await startDash({ folder: runs, wait: runs === usualRuns, ...(port === undefined ? {} : { port }) });
    if (console.json) console.data({ url: dash.url, port: dash.port });
    console.result(dash.url);
    if (!existsSync(runs)) console.fact("no run yet: the page waits for the first one in runs/");
    console.fact("only this machine can open it, and only with the token of the address; Ctrl-C ends it");
    await untilSignal();
    await dash.close();
    finish(exit.done);
  });
}
