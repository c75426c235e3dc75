// Completion for bash and zsh: one function that reads the words before the cursor.
import { type CommandWords, goOn, quoted } from "./command-words.js";

/** A pattern of `case` for several texts. */
const pattern = (texts: readonly string[]): string => texts.map(quoted).join(" | ");

/** Branches of a `case` for values: those of options by `path flag`, those of operands by `path number`. */
function valueBranches(commands: readonly CommandWords[], offer: (words: readonly string[]) => string) {
  const options = commands.flatMap(({ path, options }) =>
    options.flatMap(({ flags, takesValue, values }) =>
      takesValue ? [{ names: flags.map((flag) => `${path} ${flag}`), values }] : [],
    ),
  );
  const operands = commands.flatMap(({ path, operands }) =>
    operands.flatMap((values, i) => (values === null ? [] : [`${quoted(`${path} ${i}`)}) ${offer(values)} ;;`])),
  );
  const withValues = options.flatMap(({ names, values }) =>
    values === null ? [] : [`${pattern(names)}) ${offer(values)} ;;`],
  );
  const others = options.flatMap(({ names, values }) => (values === null ? names : []));
  return {
    taking: pattern(options.flatMap(({ names }) => names)),
    options: withValues,
    others: pattern(others),
    operands,
  };
}

const below = (commands: readonly CommandWords[]): string =>
  pattern(commands.flatMap(({ path, commands: own }) => own.map(({ word }) => `${path} ${word}`)));

/**
 * Reads one word of those before the cursor: `at` becomes the command, `count` the number of its operands.
 * @param taking pattern of the flags whose value is the next word
 * @param isNone condition for a word that is no operand
 */
const readWord = (commands: readonly CommandWords[], taking: string, isNone: string): string => `\
    case "$at $word" in
    ${below(commands)}) at="$at $word" count=0 ;;
    *)
      case "$at $last" in
      ${taking}) ;;
      *) ${isNone} || ((count++)) ;;
      esac ;;
    esac
    last=$word`;

const indented = (lines: readonly string[]): string => lines.map((line) => `    ${line}`).join("\n");

/** A script for bash. File names are completed where nothing else can stand. */
export function bashScript(commands: readonly CommandWords[]): string {
  const branches = valueBranches(commands, (words) => `offer=${quoted(words.join("\n"))}`);
  const flags = commands.map(
    ({ path, options }) =>
      `${quoted(path)}) offer=${quoted(options.flatMap((each) => each.flags.slice(0, 1)).join("\n"))} ;;`,
  );
  const names = commands.flatMap(({ path, commands: own }) =>
    own.length === 0 ? [] : [`${quoted(path)}) offer=${quoted(own.map(({ word }) => word).join("\n"))} ;;`],
  );
  return `# Completion of rfdetr for bash, made by: rfdetr completion bash
_rfdetr() {
  local IFS=$'\\n' at=rfdetr count=0 i last= offer= word
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  # bash takes --option=value for three words.
  if [[ $current == = ]]; then current=
  elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
${readWord(commands, branches.taking, "[[ $word == -* || $word == = || $last == = ]]")}
  done
  case "$at $before" in
${indented(branches.options)}
    ${branches.others}) return ;;
  esac
  if [[ -z $offer ]]; then
    if [[ $current == -* ]]; then
      case "$at" in
${indented(flags)}
      esac
    else
      case "$at" in
${indented(names)}
      esac
      case "$at $count" in
${indented(branches.operands)}
      esac
    fi
  fi
  COMPREPLY=($(compgen -W "$offer" -- "$current"))
  if [[ \${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi
}
complete -o bashdefault -o default -F _rfdetr rfdetr
`;
}

/** A script for zsh, with what words are for. */
export function zshScript(commands: readonly CommandWords[]): string {
  const branches = valueBranches(
    commands,
    (words) => `compadd ${goOn(words) ? "-S '' " : ""}-- ${words.map(quoted).join(" ")}; return`,
  );
  const described = (pairs: readonly { word: string; about: string }[]): string =>
    pairs.map(({ word, about }) => quoted(`${word.replaceAll(":", "\\:")}:${about}`)).join(" ");
  const flags = commands.map(({ path, options }) => {
    const words = options.map((each) => ({ word: each.flags[0], about: each.about }));
    return `${quoted(path)}) list=(${described(words)}) ;;`;
  });
  const names = commands.flatMap(({ path, commands: own }) =>
    own.length === 0
      ? []
      : [`${quoted(path)}) list=(${described(own)}); _describe -t commands command list; return ;;`],
  );
  return `#compdef rfdetr
# Completion of rfdetr for zsh, made by: rfdetr completion zsh
_rfdetr() {
  local at=rfdetr count=0 i last= word current=$words[CURRENT] before=$words[CURRENT-1]
  local -a list
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
${readWord(commands, branches.taking, "[[ $word == -* ]]")}
  done
  if [[ $current == --*=* ]]; then
    before=\${current%%=*}
    compset -P 1 '*='
    current=$PREFIX
  fi
  case "$at $before" in
${indented(branches.options)}
    ${branches.others}) _files; return ;;
  esac
  if [[ $current == -* ]]; then
    case "$at" in
${indented(flags)}
    esac
    _describe -t options option list
    return
  fi
  case "$at" in
${indented(names)}
  esac
  case "$at $count" in
${indented(branches.operands)}
  esac
  _files
}
if [[ $funcstack[1] == _rfdetr ]]; then _rfdetr "$@"; else compdef _rfdetr rfdetr; fi
`;
}
