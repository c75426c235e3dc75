// `rfdetr numerics`
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { RunDirectoryError } from "../support/errors.js";
import { consoleOf, exit, type OutputFlags, withOutputFlags } from "./context.js";

/** Registers `rfdetr numerics`. */
export function addNumerics(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("numerics")
      .description("Summarise numerics.jsonl of a run: steps, loss scale, what was not finite and where it began")
      .argument("<run>", "run folder, or a numerics.jsonl"),
  ).action(async (run: string, flags: OutputFlags) => {
    const { formatNumerics, summarizeNumerics } = await import("@rfdetr/amp");
    const path = existsSync(run) && statSync(run).isDirectory() ? join(run, "numerics.jsonl") : run;
    if (!existsSync(path)) throw new RunDirectoryError(`Expected the folder of a run but there is no ${path}`);
    const summary = summarizeNumerics(readFileSync(path, "utf8"));
    const console = consoleOf(flags);
    if (console.json) console.data(summary);
    console.result(formatNumerics(summary));
    finish(exit.done);
  });
}
