// `rfdetr numerics`
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { RunDirectoryError } from "../../support/errors.js";
import { consoleOf, exit, type OutputFlags, withOutputFlags } from "../context.js";

/** Registers `rfdetr numerics`. */
export function addNumerics(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("numerics")
      .description("Summarise numerics.jsonl of a run: steps, loss scale, what was not finite and where it began")
      .argument("<run>", "run folder, or a numerics.jsonl"),
  ).action(async (run: string, flags: OutputFlags) => {
    const { NumericsReader } = await import("../../report/records/numerics-reader.js");
    const { summarizeNumerics } = await import("../../report/summary/numerics-summary.js");
    const { numericsText } = await import("../../report/summary/numerics-text.js");
    const { rankSentences } = await import("../../report/html/rank-words.js");
    const path = existsSync(run) && statSync(run).isDirectory() ? join(run, "numerics.jsonl") : run;
    if (!existsSync(path)) throw new RunDirectoryError(`Expected the folder of a run but there is no ${path}`);
    if (!statSync(path).isFile()) throw new RunDirectoryError(`Expected the folder of a run but ${path} is no file`);
    const reader = new NumericsReader(path, { points: 20, watched: 2 });
    reader.read();
    const record = reader.record();
    if (record.header === null && record.steps === 0 && record.faults.length > 0)
      throw new RunDirectoryError(
        record.damagedLines > 0
          ? `Expected records of a run in ${path} but none of its lines is one`
          : `Expected records of a run: ${record.faults[0]}`,
      );
    const summary = summarizeNumerics(record);
    const console = consoleOf(flags);
    if (console.json) console.data(summary);
    // Rows of tables stay whole; prose is broken between words.
    for (const line of numericsText(summary).split("\n"))
      if (/\S {2,}\S/.test(line)) console.result(line);
      else console.sentence(line, 4);
    if (record.ranks === null) return finish(exit.done);
    console.result(`\n${record.ranks.ranks.length} processes:`);
    for (const sentence of rankSentences(record.ranks)) console.sentence(`  ${sentence}.`, 4);
    finish(exit.done);
  });
}
