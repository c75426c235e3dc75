// What the parser of the command line found wrong, in the words of this program, with what was probably meant.
import type { Command, CommanderError } from "commander";
import type { SettingName } from "../settings/settings.js";
import { UsageError } from "../support/errors.js";
import { suggest } from "../support/suggest.js";
import { flagOfSetting } from "./train-flags.js";

/** Options of other tools, and what they are here. Used where the command has the option that is named first. */
const neighbours: Readonly<Record<string, string>> = {
  "--name": "--out",
  "--project": "--out",
  "--save-dir": "--out",
  "--output": "--out",
  "--dataset": "--data",
  "--source": "--data",
  "--imgsz": "--resolution",
  "--img-size": "--resolution",
  "--image-size": "--resolution",
  "--lr0": "--lr",
  "--bs": "--batch",
  "--batch-size": "--batch",
  "--pretrained": "--weights",
  "--ckpt": "--weights",
  "--checkpoint": "--weights",
  "--gpu": "--device cuda:0",
  "--gpus": "--device cuda:0",
  "--cpu": "--device cpu",
  "--fp16": "--precision 16-mixed",
  "--half": "--precision 16-mixed",
  "--bf16": "--precision bf16-mixed",
  "--fp32": "--precision 32-true",
  "--patience": "--set early_stopping=true --set early_stopping_patience=…",
  "--cfg": "--config",
  "--conf": "--threshold",
  "--conf-thres": "--threshold",
  "--verbose": "--plain",
};

/** Options of other tools that need no other option here. */
const explained: Readonly<Record<string, string>> = {
  "--amp": "Mixed precision is the default; --no-amp trains in 32-true",
};

/** Commands of other tools, and what they are here. */
const neighbourCommands: Readonly<Record<string, string>> = {
  fit: "train",
  finetune: "train",
  eval: "val",
  evaluate: "val",
  test: "val",
  detect: "predict",
  infer: "predict",
  dataset: "data",
  install: "setup",
  config: "settings",
};

/**
 * The error for a command line that the parser refuses.
 * @param error what the parser threw
 * @param argv what was parsed
 */
export async function usageError(
  error: CommanderError,
  program: Command,
  argv: readonly string[],
): Promise<UsageError> {
  const command = commandOf(program, argv);
  const name = fullName(command);
  const hint = `See ${name} --help`;
  const quoted = /'(.*?)'/.exec(error.message)?.[1] ?? "";
  switch (error.code) {
    case "commander.unknownOption": {
      const [flag] = quoted.split("=");
      return new UsageError(
        `Expected a known option of ${name} but received ${flag}${await optionMeant(flag, command)}`,
        {
          hint: Object.hasOwn(explained, flag) ? explained[flag] : hint,
        },
      );
    }
    case "commander.unknownCommand": {
      const names = command.commands.map((known) => known.name());
      const neighbour = Object.hasOwn(neighbourCommands, quoted) ? neighbourCommands[quoted] : undefined;
      const meant = neighbour !== undefined && names.includes(neighbour) ? neighbour : suggest(quoted, names);
      return new UsageError(`Expected a command of ${name} but received ${quoted}${orMeant(meant)}`, { hint });
    }
    case "commander.excessArguments": {
      const most = command.registeredArguments.length;
      const extra = command.args[most];
      const meant = name === "rfdetr train" ? `--data ${extra}` : undefined;
      const wanted = most === 0 ? "only options" : `${most} ${most === 1 ? "argument" : "arguments"}`;
      return new UsageError(`Expected ${wanted} for ${name} but received ${extra}${orMeant(meant)}`, { hint });
    }
    case "commander.optionMissingArgument":
      return new UsageError(`Expected a value for ${quoted} but received none`, { hint });
    case "commander.missingMandatoryOptionValue":
      return new UsageError(`Expected ${quoted} for ${name} but received none`, { hint });
    case "commander.missingArgument":
      return new UsageError(`Expected <${quoted}> for ${name} but received none`, { hint });
    default:
      return new UsageError(sentence(error.message), { hint });
  }
}

/** The innermost command that a command line names. */
function commandOf(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    if (word.startsWith("-")) continue;
    const next = command.commands.find((known) => known.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

async function optionMeant(flag: string, command: Command): Promise<string> {
  const options = command.options.flatMap(({ long }) => (long == null ? [] : [long]));
  const neighbour = Object.hasOwn(neighbours, flag) ? neighbours[flag] : undefined;
  if (neighbour !== undefined && options.includes(neighbour.split(" ")[0])) return orMeant(neighbour);
  const near = suggest(flag, options);
  if (!options.includes("--set")) return orMeant(near);
  const [{ settingNamed }, { refused }, { settings }] = await Promise.all([
    import("../settings/resolve.js"),
    import("../settings/refused-settings.js"),
    import("../settings/settings.js"),
  ]);
  const key = flag.replace(/^-+/, "").replaceAll("-", "_");
  if (Object.hasOwn(refused, key)) return `: ${refused[key].reason}`;
  if (Object.hasOwn(settings, key)) return orMeant(flagOfSetting(key as SettingName));
  const setting = settingNamed(key);
  return orMeant(near ?? (setting === undefined ? undefined : flagOfSetting(setting)));
}

/**
 * Refuses an option of the command as the value of another: the value was forgotten.
 * @throws UsageError
 */
export function checkValues(command: Command): void {
  for (const option of command.options) {
    const value = [command.getOptionValue(option.attributeName())].flat().at(-1);
    if (typeof value === "string" && command.options.some(({ long }) => long === value))
      throw new UsageError(`Expected a value for ${option.flags} but received the option ${value}`, {
        hint: `See ${fullName(command)} --help`,
      });
  }
}

function orMeant(meant: string | undefined): string {
  return meant === undefined ? "" : `: did you mean ${meant}?`;
}

/** A message of the parser as a sentence of this program. */
function sentence(message: string): string {
  const text = message.replace(/^error: /, "").trim();
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/\.$/, "");
}
