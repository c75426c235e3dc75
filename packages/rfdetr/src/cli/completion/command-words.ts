// What can stand where on the command line, as plain data, from the definition of the program.
import type { Command } from "commander";
import { valuesOf } from "./values.js";

/** A word that can be completed, and what it is for. */
export interface Word {
  word: string;
  about: string;
}

/** An option of a command. */
export interface OptionWords {
  /** `--help`, `-h`. */
  flags: readonly string[];
  about: string;
  /** Whether a value follows. */
  takesValue: boolean;
  /** The values that can follow; null for any, such as a file. */
  values: readonly string[] | null;
}

/** What can stand behind the words of a command. */
export interface CommandWords {
  /** `rfdetr data check`. */
  path: string;
  commands: readonly Word[];
  options: readonly OptionWords[];
  /** The values of each argument, in their order; null for any. */
  operands: readonly (readonly string[] | null)[];
}

/** The commands of a program, each before those below it. */
export function commandWords(program: Command, above = ""): CommandWords[] {
  const path = `${above}${program.name()}`;
  const help = program.createHelp();
  const options = help.visibleOptions(program).map((option) => ({
    flags: [option.long, option.short].flatMap((flag) => flag ?? []),
    about: inShort(option.description),
    takesValue: option.required || option.optional,
    values: valuesOf(option),
  }));
  const commands = program.commands.map((each) => ({ word: each.name(), about: inShort(each.description()) }));
  const operands = program.commands.length > 0 ? [] : program.registeredArguments.map(valuesOf);
  return [
    { path, commands, options, operands },
    ...program.commands.flatMap((child) => commandWords(child, `${path} `)),
  ];
}

/** Characters of a description that fit beside a word. */
const room = 70;

/** The first words of a description. */
function inShort(text: string): string {
  if (text.length <= room) return text;
  return `${text.slice(0, text.lastIndexOf(" ", room)).replace(/[,;:(—]+$/, "")} …`;
}

/** A word in single quotes, as bash and zsh read it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
