// The commands, their help, and how a command line is read. Each command loads its modules when it runs, so that help
// need not load libtorch.
import { type Argument, Command, type Option } from "commander";
import { packageVersion } from "../support/machine/version.js";
import { addCompletion } from "./completion/completion.js";
import { printable, stderr, stdout } from "./console/output.js";
import { startedAs } from "./console/started-as.js";
import { addData } from "./data/data.js";
import { examples } from "./examples.js";
import { addBench } from "./instruments/bench.js";
import { addDoctor } from "./instruments/doctor.js";
import { addProfile } from "./instruments/profile.js";
import { addConvert } from "./model/convert.js";
import { addDemoPage } from "./model/demo-page.js";
import { addExport } from "./model/export.js";
import { addPredict } from "./model/predict.js";
import { addVal } from "./model/val.js";
import { addControl } from "./runs/control.js";
import { addDash } from "./runs/dash.js";
import { addNumerics } from "./runs/numerics.js";
import { addReport } from "./runs/report.js";
import { addSettings } from "./settings.js";
import { addSetup } from "./setup.js";
import { addDemo } from "./train/demo.js";
import { addTrain } from "./train/train.js";
import { checkValues } from "./usage-error.js";

/** Registers a command. Its action calls `finish` with the exit code. */
type AddCommand = (program: Command, finish: (code: number) => void) => void;

const commands: readonly AddCommand[] = [
  addTrain,
  addVal,
  addPredict,
  addExport,
  addData,
  addBench,
  addProfile,
  addDoctor,
  addNumerics,
  addControl,
  addReport,
  addDash,
  addConvert,
  addSettings,
  addDemo,
  addDemoPage,
  addCompletion,
  addSetup,
];

/** The program with all its commands. */
export function buildProgram(finish: (code: number) => void): Command {
  const program = new Command("rfdetr")
    .description("Train, evaluate and run RF-DETR detectors, in mixed precision by default")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand(false)
    .showSuggestionAfterError(false)
    // Names alone: the arguments of one command would make the column of all of them wide.
    .configureHelp({
      minWidthToWrap: 20,
      subcommandTerm: (command) => command.name(),
      optionDescription: describe,
      argumentDescription: describe,
    })
    .configureOutput({
      // What is wrong with the command line is told in this program's words.
      outputError: () => {},
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(printable(text)),
      getOutHelpWidth: () => stdout.columns,
      getErrHelpWidth: () => stderr.columns,
    })
    .hook("preAction", (_, command) => checkValues(command))
    .exitOverride();
  for (const add of commands) add(program, finish);
  addHelp(program, "rfdetr");
  return program;
}

/** What the help says of an option or an argument, with its default as one would type it. */
function describe({
  description,
  defaultValue: value,
  mandatory,
}: Option | (Argument & { mandatory?: never })): string {
  const shown = value === false ? [] : [value].flat();
  if (mandatory) return `${description} (required)`;
  return shown.length === 0 || value === undefined || value === true
    ? description
    : `${description} (default: ${shown.join(" ")})`;
}

/** Adds examples to the help of each command. */
function addHelp(command: Command, path: string): void {
  const shown = examples[path];
  if (shown !== undefined)
    command.addHelpText(
      "after",
      `\nExamples:\n${shown.map((line) => `  ${line.replace(/^rfdetr/, startedAs())}`).join("\n")}`,
    );
  command.helpCommand(false);
  for (const child of command.commands) addHelp(child, `${path} ${child.name()}`);
}

/** Flags that every command has, and that may stand before it. */
const outputFlags: readonly string[] = ["--json", "--plain"];

/**
 * The command line with `help` as a word in place of `--help`, with the flags of every command behind it, and without
 * what would hide that a command does not exist: `help data`, `data check help`, `--json train`, `trian --help`.
 */
export function withHelpWords(argv: readonly string[], program: Command): string[] {
  if (argv.length === 0) return ["--help"];
  const first = argv.findIndex((word) => !outputFlags.includes(word));
  const early = first < 0 ? [...argv] : argv.slice(0, first);
  const given = argv.slice(early.length);
  const words = given[0] === "help" ? [...given.slice(1), "--help"] : given;
  let command = program;
  let depth = 0;
  for (;;) {
    while (outputFlags.includes(words[depth])) early.push(...words.splice(depth, 1));
    const next = command.commands.find((child) => child.name() === words[depth]);
    if (next === undefined) break;
    command = next;
    depth++;
  }
  const word = words[depth];
  if (depth > 0 && word === "help" && words.length === depth + 1) return [...words.slice(0, depth), "--help"];
  const isFlag = (text: string): boolean => text.startsWith("-");
  if (word !== undefined && !isFlag(word) && command.commands.length > 0)
    return words.filter((each) => !["-h", "--help", "-V", "--version", ...outputFlags].includes(each));
  // A command of commands takes none of them itself.
  if (command.commands.length === 0) words.splice(depth, 0, ...early);
  return words.includes("-V") || words.includes("--version") ? ["--version"] : words;
}
