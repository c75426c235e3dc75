// `rfdetr train`

import { moduleRules } from "@rfdetr/amp/names";
import type { Command } from "commander";
import { either } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import {
  collect,
  consoleOf,
  duration,
  exit,
  flagValues,
  modelHelp,
  numberFormatHelp,
  numberFormatOf,
  numeric,
  type OutputFlags,
  precisionsInWords,
  shape,
  wholeNumber,
  withOutputFlags,
} from "../context.js";
import { settingOfFlag } from "./train-flags.js";
import type { WhatFlags } from "./what-to-train.js";

type TrainFlags = OutputFlags & WhatFlags & { maxRestarts: number | string; dryRun?: boolean };

/** Registers `rfdetr train`. */
export function addTrain(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("train")
      .description("Train a detector on a folder of images with COCO or YOLO annotations")
      .option("--data <dir>", "dataset with train/ and valid/")
      .option("--model <variant>", `${modelHelp} (default: that of the weights, or nano)`)
      .option(
        "--weights <file>",
        "weights to start from: coco, none (random weights), a file, a run folder, or the name of published ones such as nano (default: coco, where they are published for the model)",
      )
      .option("--out <dir>", "run folder (default: a new one under runs/)")
      .option("--epochs <n>", "passes over the training images (default: 100)", numeric)
      .option(
        "--time-budget <time>",
        "time to end in, such as 8h, 1h30m or 40s, evaluation included (default: that of all epochs)",
        duration,
      )
      .option("--batch <n>", "images per micro-batch, or auto: as many as fit in memory (default: 4)", numeric)
      .option("--accumulate <n>", "micro-batches per optimizer step (default: 1)", numeric)
      .option(
        "--lr <x>",
        "learning rate (default: 0.0001); the encoder has its own, --set lr_encoder=X (default: 0.00015)",
        numeric,
      )
      .option("--precision <p>", `${precisionsInWords} (default: auto, what fits)`)
      .option("--number-format <name>", `${numberFormatHelp}; slow, to see what such hardware would do (default: none)`)
      .option("--no-amp", "train in 32-true")
      .option("--device <d>", "auto, cpu or cuda:N (default: auto, the GPU if there is one)")
      .option("--processes <n>", "processes of this machine that train together (default: 1)", numeric)
      .option(
        "--max-restarts <n>",
        "how often all processes start anew from the last checkpoint when one is lost",
        numeric,
        0,
      )
      .option(
        "--seed <n>",
        "seed of the initial weights, the order of images and the augmentation (default: a new one, which the run records)",
        numeric,
      )
      .option(
        "--resolution <n|hxw>",
        "size of the images in pixels: one side, or height and width as 384x640 (default: the variant's)",
        (text) => shape("resolution", text),
      )
      .option(
        "--config <file>",
        "settings by the names of the Python package: JSON, YAML, or a module that exports them; flags and --set replace them",
      )
      .option(
        "--override <pattern=rule>",
        `precision of the modules that match: ${either(moduleRules)}; may be repeated`,
        collect,
      )
      .option("--set <key=value>", "any other setting, see rfdetr settings; may be repeated", collect)
      .option(
        "--resume <run>",
        "continue the run in this folder; --epochs, --time-budget, --lr and --data may change, and --processes to fewer",
      )
      .option(
        "--dry-run",
        "open the data, build the model, take a few steps, say what the run would be, and keep nothing",
      ),
  );
  withValues(command, {
    ...flagValues.model,
    ...flagValues.precision,
    ...flagValues.numberFormat,
    ...flagValues.device,
    "--set": beginnings,
  }).action(async (flags: TrainFlags & { numberFormat?: string }) =>
    finish(await train({ ...flags, ...numberFormatOf(flags) })),
  );
}

/** The settings without a flag of their own, as `--set` takes them. */
async function beginnings(): Promise<string[]> {
  const { settings } = await import("../../settings/settings.js");
  const flagged = new Set<string>(Object.values(settingOfFlag));
  return Object.keys(settings).flatMap((name) => (flagged.has(name) ? [] : [`${name}=`]));
}

async function train(flags: TrainFlags): Promise<number> {
  const maxRestarts = wholeNumber("max-restarts", flags.maxRestarts);
  if (flags.dryRun) return await tryOut(flags, maxRestarts);
  const { startReported } = await import("../../report/reported-run.js");
  const { follow } = await import("./follow.js");
  const { whatToTrain } = await import("./what-to-train.js");
  const console = consoleOf(flags);
  const { settings, ...options } = await whatToTrain(flags, console);
  return await follow(startReported(settings, { ...options, maxRestarts }), console);
}

async function tryOut(flags: TrainFlags, maxRestarts: number): Promise<number> {
  const { toTry } = await import("./what-to-train.js");
  const { dryRun } = await import("../../run/dry-run.js");
  const { openTrainData } = await import("../../run/session/open-train-data.js");
  const { showDryRun } = await import("./dry-run.js");
  const console = consoleOf(flags);
  const settings = await toTry(flags, console);
  const dry = await dryRun(settings, openTrainData, maxRestarts, {
    warn: (message) => console.warning(message),
    progress: (what) => console.doing(what),
  });
  console.end();
  showDryRun(dry, console);
  return exit.done;
}
