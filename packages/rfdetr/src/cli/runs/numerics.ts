// `rfdetr numerics`
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { RankCollector, RankSummary } from "../../report/records/ranks.js";
import { RunDirectoryError } from "../../support/errors.js";
import { textPieces } from "../../support/files/text-file.js";
import { consoleOf, exit, type OutputFlags, withOutputFlags } from "../context.js";

/** Registers `rfdetr numerics`. */
export function addNumerics(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("numerics")
      .description("Summarise numerics.jsonl of a run: steps, loss scale, what was not finite and where it began")
      .argument("<run>", "run folder, or a numerics.jsonl"),
  ).action(async (run: string, flags: OutputFlags) => {
    const { formatNumerics, summarizeNumerics } = await import("@rfdetr/amp");
    const { RankCollector } = await import("../../report/records/ranks.js");
    const { rankSentences } = await import("../../report/html/rank-words.js");
    const path = existsSync(run) && statSync(run).isDirectory() ? join(run, "numerics.jsonl") : run;
    if (!existsSync(path)) throw new RunDirectoryError(`Expected the folder of a run but there is no ${path}`);
    const collector = new RankCollector();
    const summary = summarizeNumerics(noting(linesOf(path), collector));
    const processes = collector.summary();
    if (summary.header === null && summary.steps === 0 && summary.unread > 0)
      throw new RunDirectoryError(`Expected records of a run in ${path} but none of its lines is one`);
    const console = consoleOf(flags);
    if (console.json) console.data({ ...summary, ...(processes === null ? {} : { processes: briefly(processes) }) });
    // Rows of tables stay whole; prose is broken between words.
    for (const line of formatNumerics(summary).split("\n"))
      if (/\S {2,}\S/.test(line)) console.result(line);
      else console.sentence(line, 4);
    if (processes === null) return finish(exit.done);
    console.result(`\n${processes.ranks.length} processes:`);
    for (const sentence of rankSentences(processes)) console.sentence(`  ${sentence}.`, 4);
    finish(exit.done);
  });
}

/** What JSON tells of the processes: all but their curves. */
const briefly = ({ points: _, ...summary }: RankSummary): Omit<RankSummary, "points"> => summary;

/** The same lines; what they say of processes is collected. */
function* noting(lines: Iterable<string>, collector: RankCollector): Generator<string> {
  for (const line of lines) {
    collector.line(line);
    yield line;
  }
}

/** Bytes of one line; a record of a watched step has a thousandth of it. */
const longest = 2 ** 28;

/** The lines of a file of any size. A longer one than a record can be is given empty of sense: as one NUL. */
function* linesOf(path: string): Generator<string> {
  let line: Buffer[] = [];
  let bytes = 0;
  const take = (): string => {
    const text = bytes > longest ? "\0" : Buffer.concat(line).toString();
    [line, bytes] = [[], 0];
    return text;
  };
  for (const piece of textPieces(path, "log", 2 ** 20, (message, cause) => new RunDirectoryError(message, { cause }))) {
    let start = 0;
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, start)) {
      bytes += at - start;
      line.push(piece.subarray(start, at));
      start = at + 1;
      yield take();
    }
    bytes += piece.length - start;
    if (bytes <= longest) line.push(piece.subarray(start));
    else line = [];
  }
  yield take();
}
