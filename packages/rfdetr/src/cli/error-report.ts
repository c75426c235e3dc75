// How the command ends with an error: what it prints, and its exit code.
import { inspect } from "node:util";
import { CommanderError } from "commander";
import { isUserError, RunDirectoryError } from "../support/errors.js";
import { refusalOf } from "../support/files/system-error.js";
import { isOutOfMemory, outOfMemory } from "../support/machine/memory-error.js";
import type { Console } from "./console/console.js";
import { exit } from "./context.js";

/** Codes of errors in options, arguments and settings themselves, not in what they name. */
const usageCodes: ReadonlySet<string> = new Set([
  "ERR_USAGE",
  "ERR_CONFIG",
  "ERR_MODEL_CONFIG",
  "ERR_PRECISION",
  "ERR_POLICY",
]);

/** Options of the command for settings that hints of the library name in backquotes. */
const optionOf: Readonly<Record<string, string>> = {
  dataset_dir: "--data",
  weights: "--weights",
  output_dir: "--out",
  resume: "--resume",
  lr: "--lr",
  precision: "--precision",
  number_format: "--number-format",
  processes: "--processes",
  device: "--device",
};

/** A hint of the library in the words of the command: its options in place of settings, and whole commands. */
const inOptions = (hint: string): string =>
  hint
    .replace(/` with the option `(\w+)`/g, " --$1`")
    .replace(/`(\w+)`/g, (whole, name: string) => optionOf[name] ?? whole);

/**
 * Prints an error: one that a user can act on as a sentence and a hint, any other with its stack, since it is a fault
 * of this program. With `--json`, `{"error":{"code","message"}}` is the last line of stdout.
 * @returns the exit code: 2 where an option, an argument or a setting itself is wrong, else 1
 */
export function reportError(error: unknown, console: Console): number {
  // Help and version were printed; without a command, help is the answer to a wrong command line.
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exit.done;
    if (console.json) console.data({ error: { code: "ERR_USAGE", message: "Expected a command but received none" } });
    return exit.usage;
  }
  if (!isUserError(error)) return reportFault(error, console);
  const hint = error.hint === undefined ? undefined : inOptions(error.hint);
  if (console.json)
    console.data({ error: { code: error.code, message: error.message, ...(hint === undefined ? {} : { hint }) } });
  console.error(error.message);
  if (hint !== undefined) console.prose(hint);
  return usageCodes.has(error.code) ? exit.usage : exit.failed;
}

/**
 * Prints what nobody foresaw: a sentence where memory or the operating system refused something, else a fault of this
 * program, with its stack.
 * @returns the exit code
 */
export function reportFault(error: unknown, console: Console): number {
  if (isOutOfMemory(error)) return reportError(outOfMemory(error as Error, "go on"), console);
  const refusal = refusalOf(error);
  if (refusal !== null) return reportError(new RunDirectoryError(refusal, { cause: error }), console);
  const { code, message } =
    error instanceof Error ? (error as Error & { code?: unknown }) : { code: null, message: String(error) };
  if (console.json) console.data({ error: { code: typeof code === "string" ? code : "ERR_INTERNAL", message } });
  console.error("This is a fault of rfdetr, not of its input; please report it with these lines");
  console.progress(inspect(error));
  return exit.failed;
}
