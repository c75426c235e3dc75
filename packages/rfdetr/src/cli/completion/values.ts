// The values of options and arguments that take one of a few, beside their definition: for the completion of shells.
import type { Argument, Command, Option } from "commander";
import { InternalError } from "../../support/errors.js";

/** Words, or what loads them: only completion needs them, and a command should start without. */
type Values = readonly string[] | (() => Promise<readonly string[]>);

const known = new WeakMap<Option | Argument, Values>();

/**
 * Says which values options (`--precision`) and arguments (`action`) of a command take.
 * @param values a word that ends with an equals sign is the beginning of a value
 * @returns the command
 */
export function withValues(command: Command, values: Readonly<Record<string, Values>>): Command {
  for (const [name, list] of Object.entries(values)) {
    const taker =
      command.options.find(({ long }) => long === name) ??
      command.registeredArguments.find((argument) => argument.name() === name);
    if (taker === undefined) throw new InternalError(`The command ${command.name()} has no ${name}`);
    known.set(taker, list);
  }
  return command;
}

/** The values that an option or an argument takes; null for any. */
export async function valuesOf(taker: Option | Argument): Promise<readonly string[] | null> {
  const values = known.get(taker) ?? null;
  return typeof values === "function" ? await values() : values;
}
