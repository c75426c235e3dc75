// `rfdetr train`

import type { Command } from "commander";
import { collect, consoleOf, numeric, type OutputFlags, weightsPath, withOutputFlags } from "./context.js";
import type { SettingFlags } from "./setting-flags.js";

type TrainFlags = OutputFlags & SettingFlags & { resume?: string };

/** Registers `rfdetr train`. */
export function addTrain(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("train")
      .description("Train a detector on a folder of images with COCO or YOLO annotations")
      .option("--data <dir>", "dataset with train/ and valid/")
      .option("--model <variant>", "nano, small, medium, base, large, … (default: that of the weights, or nano)")
      .option(
        "--weights <file>",
        "weights to start from: a file, a run folder, or the name of published ones such as nano (default: random weights)",
      )
      .option("--out <dir>", "run folder (default: a new one under runs/)")
      .option("--epochs <n>", "passes over the training images (default: 100)", numeric)
      .option("--batch <n>", "images per micro-batch, or auto: as many as fit in memory (default: 4)", numeric)
      .option("--accumulate <n>", "micro-batches per optimizer step (default: 1)", numeric)
      .option("--lr <x>", "learning rate (default: 0.0001)", numeric)
      .option("--precision <p>", "auto, 32-true, tf32, bf16-mixed or 16-mixed (default: auto, what fits)")
      .option("--no-amp", "train in 32-true")
      .option("--device <d>", "auto, cpu or cuda:N (default: auto, the GPU if there is one)")
      .option(
        "--seed <n>",
        "seed of the initial weights, the order of images and the augmentation (default: a new one, which the run records)",
        numeric,
      )
      .option("--resolution <n>", "side length of the images in pixels (default: the variant's)", numeric)
      .option(
        "--config <file>",
        "JSON file of settings, by the names of the Python package; flags and --set replace them",
      )
      .option(
        "--override <pattern=rule>",
        "precision of the modules that match: fp32, lower, keep, widest, bf16 or bf16x3; may be repeated",
        collect,
      )
      .option("--set <key=value>", "any other setting, see rfdetr settings; may be repeated", collect)
      .option("--resume <run>", "continue the run in this folder; --epochs, --lr and --data may change"),
  ).action(async (flags: TrainFlags) => finish(await train(flags)));
}

async function train(flags: TrainFlags): Promise<number> {
  const { resolveSettings } = await import("../settings/resolve.js");
  const { settingsOf } = await import("./setting-flags.js");
  const { startReported } = await import("../report/reported-run.js");
  const { follow } = await import("./follow.js");
  const console = consoleOf(flags);
  if (flags.resume !== undefined) {
    const { resumeChanges } = await import("./resume-flags.js");
    const { resumeConfig } = await import("../run/session/resume.js");
    const changes = resumeChanges(flags);
    return await follow(startReported(resumeConfig(flags.resume), { resume: flags.resume, changes }), console);
  }
  const settings = settingsOf(flags);
  const { weights } = resolveSettings(settings);
  if (weights === null) return await follow(startReported(resolveSettings(settings)), console);
  const path = await weightsPath(console, weights);
  const { readModelConfig } = await import("../weights/weights.js");
  const isNamed = settings.model !== undefined || (settings.model_name ?? null) !== null;
  const model = isNamed ? {} : { model: readModelConfig(path).variant };
  return await follow(startReported({ ...resolveSettings({ ...settings, ...model }), weights: path }), console);
}
