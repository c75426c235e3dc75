// The `rfdetr` command. Each verb loads its modules when it runs, so that help need not load libtorch.
import { Command, CommanderError } from "commander";
import { letThreadsSleep } from "../support/openmp.js";
import { packageVersion } from "../support/version.js";
import { addBench } from "./bench.js";
import { Console } from "./console.js";
import { exit } from "./context.js";
import { addConvert } from "./convert.js";
import { addData } from "./data.js";
import { addDemo } from "./demo.js";
import { addDoctor } from "./doctor.js";
import { reportError } from "./error-report.js";
import { addNumerics } from "./numerics.js";
import { addPredict } from "./predict.js";
import { addProfile } from "./profile.js";
import { addSetup } from "./setup.js";
import { addTrain } from "./train.js";
import { checkValues, usageError } from "./usage-error.js";
import { addVal } from "./val.js";

/** Registers a verb. Its action calls `finish` with the exit code. */
type AddCommand = (program: Command, finish: (code: number) => void) => void;

const verbs: readonly AddCommand[] = [
  addTrain,
  addVal,
  addPredict,
  addData,
  addBench,
  addProfile,
  addDoctor,
  addNumerics,
  addConvert,
  addDemo,
  addSetup,
];

/**
 * Runs one command line (without `node` and the script).
 * @returns the exit code: 0 done, 1 failed, 2 bad usage, 130 interrupted.
 */
export async function main(argv: readonly string[]): Promise<number> {
  letThreadsSleep();
  let code: number = exit.done;
  const program = new Command("rfdetr")
    .description("Train, evaluate and run RF-DETR detectors, in mixed precision by default.")
    .version(packageVersion(), "--version", "print the version")
    .helpOption("--help", "print help")
    .helpCommand(false)
    .showSuggestionAfterError(false)
    .configureOutput({ outputError: () => {} })
    .hook("preAction", (_, command) => checkValues(command))
    .exitOverride();
  for (const add of verbs)
    add(program, (value) => {
      code = value;
    });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    const isUsage = error instanceof CommanderError && error.exitCode !== 0 && error.code !== "commander.help";
    return reportError(
      isUsage ? await usageError(error, program, argv) : error,
      new Console({ json: argv.includes("--json"), ...(argv.includes("--plain") ? { plain: true } : {}) }),
    );
  }
}
