// The `rfdetr` command.
import { CommanderError } from "commander";
import { letThreadsSleep } from "../support/machine/openmp.js";
import { refuseTelemetry } from "../support/machine/telemetry.js";
import { Console } from "./console/console.js";
import { stdout } from "./console/output.js";
import { exit } from "./context.js";
import { reportError, reportFault } from "./error-report.js";
import { buildProgram, withHelpWords } from "./program.js";
import { RankConsole, rankHere } from "./train/rank-console.js";
import { usageError } from "./usage-error.js";

/** Commands whose result is a folder: they succeed even where their output could not be printed. */
const writers: readonly string[] = ["train", "demo"];

let listener = (_error: unknown): void => {};

/** Handles a rejected promise that is not awaited, and a timer that throws, instead of the handlers before. */
function whenUnawaited(fail: (error: unknown) => void): void {
  for (const event of ["uncaughtException", "unhandledRejection"]) process.off(event, listener).on(event, fail);
  listener = fail;
}

/**
 * Runs one command line (without `node` and the script).
 * @returns the exit code, one of `exit`
 */
export async function main(argv: readonly string[]): Promise<number> {
  letThreadsSleep();
  refuseTelemetry();
  const rank = writers.includes(argv[0]) ? rankHere() : 0;
  const console =
    rank > 0 ? new RankConsole(rank) : new Console({ json: argv.includes("--json"), plain: argv.includes("--plain") });
  whenUnawaited((error) => process.exit(reportFault(error, console)));
  let code: number = exit.done;
  const program = buildProgram((value) => {
    code = value;
  });
  const words = withHelpWords(argv, program);
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    const isUsage = error instanceof CommanderError && error.exitCode !== 0 && error.code !== "commander.help";
    return reportError(isUsage ? await usageError(error, program, words) : error, console);
  }
  // A stream reports its failures a moment later.
  await new Promise(setImmediate);
  const { failure } = stdout;
  if (failure === null || failure.code === "EPIPE") return code;
  const message = `cannot be written to stdout: ${failure.message}`;
  if (writers.includes(words[0])) console.warning(`What the run tells ${message}. The run itself is unaffected`);
  if (code !== exit.done || writers.includes(words[0])) return code;
  console.error(`The results ${message}`);
  return exit.failed;
}
