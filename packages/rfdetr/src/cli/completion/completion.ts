// `rfdetr completion`
import type { Command } from "commander";
import { consoleOf, exit, type OutputFlags, oneOf, withOutputFlags } from "../context.js";
import { commandWords } from "./command-words.js";
import { fishScript } from "./fish-script.js";
import { bashScript, zshScript } from "./posix-script.js";
import { withValues } from "./values.js";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
const shells = Object.keys(scripts) as (keyof typeof scripts)[];

/** Registers `rfdetr completion`. */
export function addCompletion(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("completion")
      .description("Print a script with which a shell completes commands, options and their values")
      .argument("<shell>", shells.join(", ")),
  );
  withValues(command, { shell: shells }).action(async (shell: string, flags: OutputFlags) => {
    const write = scripts[oneOf("shell", shell, shells)];
    const script = write(await commandWords(program));
    const console = consoleOf(flags);
    if (console.json) console.data({ shell, script });
    else console.text(script);
    finish(exit.done);
  });
}
