// What the parser of the command line found wrong, in the words of this program, with what was probably meant.
import type { Command, CommanderError } from "commander";
import { opset, whyOpset } from "../export/opset.js";
import type { SettingName } from "../settings/settings.js";
import { UsageError } from "../support/errors.js";
import { either } from "../support/format.js";
import { suggest } from "../support/suggest.js";
import { flagOfSetting } from "./train/train-flags.js";

/**
 * Options of other tools, some of one command, and what they are here. Used where the command has the option that is
 * named first.
 */
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
  "--size": "--resolution",
  "-v": "--version",
  "predict --imgsz": "--shape",
  "predict --img-size": "--shape",
  "predict --image-size": "--shape",
  "predict --size": "--shape",
  "predict --resolution": "--shape",
  "predict --save-txt": "--format yolo",
  "predict --save-crop": "--crops",
};

const unnamedImages = "Images are given without an option, such as rfdetr predict photos/ --weights runs/nano";
/** Commands that are named where another one has the option. */
const few = 3;
/** Commands of a command that are listed where it was given another. */
const fewCommands = 6;

const ownSize = "Weights are evaluated at the resolution that they were trained with";
const oneOpset = `Files are written in opset ${opset}: ${whyOpset}`;
const noOverwrite = "A run never writes over another: leave --out out, or name a new folder";
const noOverlaps = "The model reports an object once: no overlapping boxes are removed, and no IoU threshold is needed";

/** Options of other tools that need no other option here, some of one command. */
const explained: Readonly<Record<string, string>> = {
  "--amp": "Mixed precision is the default; --no-amp trains in 32-true",
  "--iou": noOverlaps,
  "--iou-thres": noOverlaps,
  "--nms": noOverlaps,
  "export --opset": oneOpset,
  "export --opset-version": oneOpset,
  "train --overwrite": noOverwrite,
  "train --force": noOverwrite,
  "train --exist-ok": noOverwrite,
  "val --imgsz": ownSize,
  "val --resolution": ownSize,
  "val --shape": ownSize,
  "predict --source": unnamedImages,
  "predict --input": unnamedImages,
  "predict --images": unnamedImages,
  "predict --data": unnamedImages,
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
  version: "--version",
  "bench predict": "infer",
  "bench val": "eval",
};

/** Commands of other tools that there are none of here, and what to do instead. */
const explainedCommands: Readonly<Record<string, string>> = {
  "data merge":
    "Datasets are not merged: join their annotations and pictures with another tool, then rfdetr data check",
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
      // The parser meets the options of a command that is not known before its name.
      const next = argv[command.parent === null ? 0 : argv.indexOf(command.name()) + 1] ?? "-";
      const isCommand = command.commands.length > 0 && !next.startsWith("-");
      return isCommand ? unknownCommand(next, command) : await unknownOption(quoted, command);
    }
    case "commander.unknownCommand":
      return unknownCommand(quoted, command);
    case "commander.excessArguments": {
      const most = command.registeredArguments.length;
      const extra = command.args[most];
      const meant =
        (await assignmentsMeant(command)) ??
        (name === "rfdetr train" && !extra.includes("=") ? `--data ${extra}` : undefined);
      const wanted = most === 0 ? "only options" : `${most} ${most === 1 ? "argument" : "arguments"}`;
      return new UsageError(`Expected ${wanted} for ${name} but received ${extra}${orMeant(meant)}`, { hint });
    }
    case "commander.optionMissingArgument":
      return new UsageError(`Expected a value for ${quoted} but received none`, { hint });
    case "commander.missingMandatoryOptionValue": {
      // An option that is not known may be the one that is missing, by another name.
      const [unknown] = command.parseOptions([...argv]).unknown;
      if (unknown !== undefined) return await unknownOption(unknown, command);
      // `none` is itself weights that a training may start from.
      if (quoted.startsWith("--weights"))
        return new UsageError(
          `Expected --weights for ${name}: a file of weights, the folder of a run, or the name of published weights such as nano`,
          { hint },
        );
      return new UsageError(`Expected ${quoted} for ${name} but received none`, { hint });
    }
    case "commander.missingArgument":
      return new UsageError(`Expected <${quoted}> for ${name} but received none`, { hint });
    default:
      return new UsageError(sentence(error.message), { hint });
  }
}

function unknownCommand(word: string, command: Command): UsageError {
  const name = fullName(command);
  const names = command.commands.map((known) => known.name());
  const neighbour = textOf(neighbourCommands, `${command.name()} ${word}`) ?? textOf(neighbourCommands, word);
  const isKnown = neighbour !== undefined && [...names, ...longOptions(command)].includes(neighbour);
  const explanation = textOf(explainedCommands, `${command.name()} ${word}`);
  const meant = isKnown ? neighbour : explanation === undefined ? suggest(word, names) : undefined;
  const all = names.length > fewCommands ? "" : `Its commands are ${names.join(", ")}. `;
  return new UsageError(`Expected a command of ${name} but received ${word}${orMeant(meant)}`, {
    hint: explanation ?? `${all}See ${name} --help`,
  });
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

async function unknownOption(word: string, command: Command): Promise<UsageError> {
  const [flag] = word.split("=");
  const name = fullName(command);
  const explanation = textOf(explained, flag) ?? textOf(explained, `${command.name()} ${flag}`);
  const others = commandsWith(flag, command);
  const meant = explanation === undefined ? await optionMeant(flag, command, others.length > 0) : "";
  const see = `${others.length === 0 || others.length > few ? "See" : `${flag} is an option of ${either(others)}; see`} ${name} --help`;
  return new UsageError(`Expected a known option of ${name} but received ${flag}${meant}`, {
    hint: explanation ?? see,
  });
}

/** Arguments such as `epochs=3` as options; undefined unless all are settings or options of the command. */
async function assignmentsMeant(command: Command): Promise<string | undefined> {
  const options = longOptions(command);
  const { settings } = await import("../settings/settings.js");
  const meant = command.args.map((word) => {
    const [, key, value] = /^(\w+)=(.*)$/.exec(word) ?? [];
    if (key === undefined) return undefined;
    const flag = `--${key.replaceAll("_", "-")}`;
    const known = options.includes(flag) ? flag : textOf(neighbours, flag);
    if (known !== undefined && options.includes(known)) return `${known} ${value}`;
    if (!options.includes("--set") || !Object.hasOwn(settings, key)) return undefined;
    const shown = flagOfSetting(key as SettingName, value);
    return shown.startsWith("--set ") ? shown : `${shown} ${value}`;
  });
  return meant.includes(undefined) ? undefined : meant.join(" ");
}

const textOf = (table: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

const longOptions = (command: Command): string[] =>
  command.options.flatMap(({ long }) => (typeof long === "string" ? [long] : []));

/** The other commands that have an option, which was then not misspelt. */
function commandsWith(flag: string, command: Command): string[] {
  let program = command;
  while (program.parent !== null) program = program.parent;
  const all = (each: Command): Command[] => [each, ...each.commands.flatMap(all)];
  return all(program)
    .filter((each) => longOptions(each).includes(flag))
    .map(fullName);
}

/** @param isElsewhere whether another command has the option */
async function optionMeant(flag: string, command: Command, isElsewhere: boolean): Promise<string> {
  const options = longOptions(command);
  const neighbour = textOf(neighbours, `${command.name()} ${flag}`) ?? textOf(neighbours, flag);
  if (neighbour !== undefined && options.includes(neighbour.split(" ")[0])) return orMeant(neighbour);
  const near = isElsewhere ? undefined : suggest(flag, options);
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
  const flagMeant = setting === undefined ? undefined : flagOfSetting(setting);
  return orMeant(near ?? (isElsewhere && !flagMeant?.startsWith("--set ") ? undefined : flagMeant));
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
