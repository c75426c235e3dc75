// The values of options and arguments that take one of a few, beside their definition: for the completion of shells.
import type { Argument, Command, Option } from "commander";
import { InternalError } from "../../support/errors.js";

const known = new WeakMap<Option | Argument, readonly string[]>();

/**
 * Says which values options (`--precision`) and arguments (`action`) of a command take.
 * @returns the command
 */
export function withValues(command: Command, values: Readonly<Record<string, readonly string[]>>): Command {
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
export const valuesOf = (taker: Option | Argument): readonly string[] | null => known.get(taker) ?? null;
