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
export async function commandWords(program: Command, above = ""): Promise<CommandWords[]> {
  const path = `${above}${program.name()}`;
  const visible = program.createHelp().visibleOptions(program);
  const options = await Promise.all(
    visible.map(async (option) => ({
      flags: [option.long, option.short].flatMap((flag) => flag ?? []),
      about: inShort(option.description),
      takesValue: option.required || option.optional,
      values: await valuesOf(option),
    })),
  );
  const commands = program.commands.map((each) => ({ word: each.name(), about: inShort(each.description()) }));
  const operands = program.commands.length > 0 ? [] : await Promise.all(program.registeredArguments.map(valuesOf));
  const below = await Promise.all(program.commands.map((child) => commandWords(child, `${path} `)));
  return [{ path, commands, options, operands }, ...below.flat()];
}

/** Whether words go on behind their equals sign, so that no space may follow them. */
export const goOn = (words: readonly string[]): boolean => words.every((word) => word.endsWith("="));

/** Characters of a description that fit beside a word. */
const room = 70;

/** The first words of a description. */
function inShort(text: string): string {
  if (text.length <= room) return text;
  return `${text.slice(0, text.lastIndexOf(" ", room)).replace(/[,;:(—]+$/, "")} …`;
}

/** A word in single quotes, as bash and zsh read it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
