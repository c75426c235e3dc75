// Completion for fish: a line for each word.
import type { CommandWords } from "./command-words.js";

/** A script for fish, with what words are for. */
export function fishScript(commands: readonly CommandWords[]): string {
  const below = commands.flatMap(({ path, commands: own }) => own.map(({ word }) => fishText(`${path} ${word}`)));
  const taking = commands.flatMap(({ path, options }) =>
    options.flatMap(({ flags, takesValue }) => (takesValue ? flags.map((flag) => fishText(`${path} ${flag}`)) : [])),
  );
  const lines = commands.flatMap(({ path, commands: own, options, operands }) => {
    const at = `__rfdetr_at ${fishText(path)}`;
    const line = `complete -c rfdetr -n ${fishText(at)}`;
    return [
      ...own.map(({ word, about }) => `${line} -f -a ${word} -d ${fishText(about)}`),
      ...options.map(({ flags, about, takesValue, values }) => {
        const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
        const value = values === null ? (takesValue ? "-r " : "") : `-x -a ${fishText(values.join(" "))} `;
        return `${line} ${names.join(" ")} ${value}-d ${fishText(about)}`;
      }),
      ...operands.flatMap((values, i) =>
        values === null ? [] : [`complete -c rfdetr -n ${fishText(`${at} ${i}`)} -f -a ${fishText(values.join(" "))}`],
      ),
    ];
  });
  return `# Completion of rfdetr for fish, made by: rfdetr completion fish
# Whether the words before the cursor name this command and, where a number is given, as many operands.
function __rfdetr_at
  set -l at rfdetr
  set -l count 0
  set -l last
  for word in (commandline -opc)[2..-1]
    if contains -- "$at $word" ${below.join(" ")}
      set at "$at $word"
      set count 0
    else if not string match -q -- '-*' $word; and not contains -- "$at $last" ${taking.join(" ")}
      set count (math $count + 1)
    end
    set last $word
  end
  test "$at" = "$argv[1]"; and contains -- "$argv[2]" "" $count
end
${lines.join("\n")}
`;
}

/** A text in single quotes, in which fish reads two escapes. */
const fishText = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
