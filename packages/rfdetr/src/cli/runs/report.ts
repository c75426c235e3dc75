// `rfdetr report`
import { formatBytes } from "@rfdetr/amp/text";
import type { Command } from "commander";
import { wholePath } from "../../support/format.js";
import { consoleOf, exit, type OutputFlags, withOutputFlags } from "../context.js";

interface ReportFlags extends OutputFlags {
  out?: string;
}

/** Registers `rfdetr report`. */
export function addReport(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("report")
      .description("Write the report of a training run as one HTML file, or a comparison of several runs")
      .argument("<run...>", "run folders")
      .option(
        "--out <file>",
        "file to write (default: report.html in the run folder; of several runs comparison.html here)",
      ),
  ).action(async (runs: string[], flags: ReportFlags) => {
    const { writeReport } = await import("../../report/write-report.js");
    const { reportFigures } = await import("../../report/report-figures.js");
    const console = consoleOf(flags);
    const written = writeReport(runs, flags.out ?? null);
    if (console.json) console.data(reportFigures(written));
    for (const { name, faults } of written.runs) for (const fault of faults) console.warning(`${name}: ${fault}`);
    console.sentence(`report ${wholePath(written.out)} (${formatBytes(written.bytes)}): open it in a browser`);
    finish(exit.done);
  });
}
