// Completion for fish: a line for each word.
import type { CommandWords } from "./command-words.js";

/** A script for fish, with what words are for. */
export function fishScript(commands: readonly CommandWords[]): string {
  const below = commands.flatMap(({ path, commands: own }) => own.map(({ word }) => fishText(`${path} ${word}`)));
  const lines = commands.flatMap(({ path, commands: own, options, operands }) => {
    const line = `complete -c rfdetr -n ${fishText(`__rfdetr_at ${fishText(path)}`)}`;
    const files = operands.includes(null);
    return [
      ...own.map(({ word, about }) => `${line} -f -a ${word} -d ${fishText(about)}`),
      ...options.map(({ flags, about, takesValue, values }) => {
        const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
        const value = values === null ? (takesValue ? "-r " : "") : `-x -a ${fishText(values.join(" "))} `;
        return `${line} ${names.join(" ")} ${value}-d ${fishText(about)}`;
      }),
      ...operands.flatMap((values) =>
        values === null ? [] : [`${line} ${files ? "" : "-f "}-a ${fishText(values.join(" "))}`],
      ),
    ];
  });
  return `# Completion of rfdetr for fish, made by: rfdetr completion fish
function __rfdetr_at
  set -l at rfdetr
  for word in (commandline -opc)[2..-1]
    if contains -- "$at $word" ${below.join(" ")}
      set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}

/** A text in single quotes, in which fish reads two escapes. */
const fishText = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
