// `rfdetr train`

import type { Command } from "commander";
import { collect, consoleOf, numeric, type OutputFlags, weightsPath, withOutputFlags } from "./context.js";
import { settingOfFlag } from "./train-flags.js";

type TrainFlags = OutputFlags &
  Record<string, unknown> & { resume?: string; config?: string; set?: string[]; override?: string[]; amp: boolean };

/** Registers `rfdetr train`. */
export function addTrain(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("train")
      .description("Train a detector on a folder of images with COCO or YOLO annotations")
      .option("--data <dir>", "dataset with train/ and valid/")
      .option("--model <variant>", "nano, small, medium, base, large, …")
      .option(
        "--weights <file>",
        "weights to start from: a file, or the name of published ones such as nano (default: random weights)",
      )
      .option("--out <dir>", "run folder (default: a new one under runs/)")
      .option("--epochs <n>", "passes over the training images", numeric)
      .option("--batch <n>", "images per micro-batch", numeric)
      .option("--accumulate <n>", "micro-batches per optimizer step", numeric)
      .option("--lr <x>", "learning rate", numeric)
      .option("--precision <p>", "auto, 32-true, bf16-mixed or 16-mixed")
      .option("--no-amp", "train in 32-true")
      .option("--device <d>", "auto, cpu or cuda:N")
      .option("--seed <n>", "seed of the initial weights, the order of images and the augmentation", numeric)
      .option("--resolution <n>", "side length of the images in pixels", numeric)
      .option("--config <file>", "JSON file of settings, by the names of the Python package")
      .option(
        "--override <pattern=rule>",
        "precision of the modules that match: fp32, lower, keep, widest, bf16 or bf16x3; may be repeated",
        collect,
      )
      .option("--set <key=value>", "any other setting; may be repeated", collect)
      .option("--resume <run>", "continue the run in this folder; --epochs, --lr and --data may change"),
  ).action(async (flags: TrainFlags) => finish(await train(flags)));
}

async function train(flags: TrainFlags): Promise<number> {
  const { checkSetting, readConfigFile, resolveSettings } = await import("../settings/resolve.js");
  const { parseAssignment, parseOverrides } = await import("./setting-flags.js");
  const { TrainRun } = await import("../run/train-run.js");
  const { follow } = await import("./follow.js");
  const given = Object.entries(settingOfFlag).filter(([flag]) => flags[flag] !== undefined);
  const console = consoleOf(flags);
  if (flags.resume !== undefined) {
    const { resumeChanges } = await import("./resume-flags.js");
    const { resumeConfig } = await import("../run/session/resume.js");
    const changes = resumeChanges(flags);
    return await follow(TrainRun.start(resumeConfig(flags.resume), { resume: flags.resume, changes }), console);
  }
  const settings: Record<string, unknown> = flags.config === undefined ? {} : readConfigFile(flags.config);
  for (const assignment of flags.set ?? []) {
    const [key, value] = parseAssignment(assignment);
    settings[key] = value;
  }
  if (!flags.amp) settings.amp = false;
  if (flags.override !== undefined)
    settings.precision_overrides = {
      ...(settings.precision_overrides as object | undefined),
      ...parseOverrides(flags.override),
    };
  for (const [flag, name] of given) settings[name] = checkSetting(name, flags[flag], flag);
  const config = resolveSettings(settings);
  if (config.weights !== null) config.weights = await weightsPath(console, config.weights);
  return await follow(TrainRun.start(config), console);
}
