// `rfdetr demo`: synthesises images, trains a detector on them and draws what it finds.

import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Command } from "commander";
import { readRankPlace } from "../../run/launch/rank-place.js";
import { checkProcesses } from "../../run/launch/shares.js";
import { UsageError } from "../../support/errors.js";
import { makeFolder } from "../../support/files/atomic.js";
import { hms, thresholdText, unbroken, wholePath } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import type { Console } from "../console/console.js";
import { serveCommand, watchCommand } from "../console/next-command.js";
import {
  consoleOf,
  exit,
  flagValues,
  numeric,
  type OutputFlags,
  positiveInteger,
  precisionsInWords,
  wholeNumber,
  withOutputFlags,
} from "../context.js";
import { abortedBySignal } from "../model/interruption.js";
import { checkMasks, type DemoImages, demoEpochs, demoImages, demoNotes, demoPlace } from "./demo-folders.js";
import { follow } from "./follow.js";

interface DemoFlags extends OutputFlags {
  steps?: number | string;
  images?: number | string;
  seed?: number | string;
  processes?: number | string;
  data: string;
  out?: string;
  precision: string;
  masks?: boolean;
}

/** Registers `rfdetr demo`. */
export function addDemo(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("demo")
      .description("Synthesise images of emoji, train a small detector on them, evaluate it and draw what it finds")
      .option("--images <n>", "number of training images (default: 1500)", numeric)
      .option("--steps <n>", "optimizer steps (default: 2000, up to 20 minutes on two cores)", numeric)
      .option("--processes <n>", "processes of this machine that train together (default: 1)", numeric)
      .option("--seed <n>", "seed of images and training (default: 0)", numeric)
      .option("--precision <p>", precisionsInWords, "auto")
      .option("--masks", "train the masks of the objects too (segmentation)")
      .option("--data <dir>", "folder for the images", "datasets/demo")
      .option(
        "--out <dir>",
        "run folder; a demo run that was interrupted goes on there (default: a new one, runs/emoji-demo)",
      ),
  );
  withValues(command, flagValues.precision).action(async (flags: DemoFlags) => finish(await demo(flags)));
}

async function demo(flags: DemoFlags): Promise<number> {
  const console = consoleOf(flags);
  const began = performance.now();
  const asked = {
    ...(flags.images === undefined ? {} : { images: positiveInteger("images", flags.images) }),
    ...(flags.seed === undefined ? {} : { seed: wholeNumber("seed", flags.seed) }),
  };
  const processes = flags.processes === undefined ? undefined : positiveInteger("processes", flags.processes);
  checkProcesses(processes ?? 1);
  const steps = flags.steps === undefined ? null : positiveInteger("steps", flags.steps);
  if (readRankPlace(process.env, 1, 2) !== null)
    throw new UsageError("The demo starts its processes itself: give it --processes, and no launcher");
  const model = flags.masks ? "seg-demo" : "demo";
  const { folder: out, resume } = demoPlace(flags.out, flags.data, model);
  const { seed, images } = await provideImages(console, flags.data, asked);
  if (flags.masks) checkMasks(flags.data);

  const { presetOf, resolveSettings } = await import("../../settings/resolve.js");
  const { resumeConfig } = await import("../../run/session/resume.js");
  const { startReported } = await import("../../report/reported-run.js");
  const preset = presetOf(model) as { batchSize: number; maxSteps: number };
  const maxSteps = steps ?? preset.maxSteps;
  const shared = sharedBatch(preset.batchSize, processes ?? 1);
  if (resume) console.progress(`continuing the demo run in ${out} with its settings`);
  const run = resume
    ? startReported(resumeConfig(out), { resume: out, ...(processes === undefined ? {} : { processes }) })
    : startReported(
        resolveSettings({
          model,
          datasetDir: flags.data,
          outputDir: out,
          seed,
          precision: flags.precision,
          ...shared,
          notes: demoNotes,
          maxSteps,
          epochs: demoEpochs(images, shared.batchSize * shared.processes, maxSteps),
        }),
      );
  const code = await follow(run, console);
  if (code !== exit.done) return code;
  const { summary, best } = await run.result;
  if (best === null) return exit.failed;
  const shown = await showDetector(console, best, { data: flags.data, out, began, trained: summary.train_seconds });
  if (console.json) console.data({ ...summary, ...shown });
  return exit.done;
}

/**
 * Draws what the trained detector finds, writes its page for a browser, and says where all of it lies.
 * @param place.began when the demo began, in milliseconds of `performance.now()`
 * @param place.trained seconds of training, those before it was resumed included
 */
async function showDetector(
  console: Console,
  weights: string,
  { data, out, began, trained }: { data: string; out: string; began: number; trained: number },
): Promise<{ seconds: number; pictures: string; page: string | null }> {
  const { pictures, count, objects, threshold } = await draw(weights, join(data, "valid"), join(out, "predictions"));
  const { imageFiles } = await import("../../predict/inputs/inputs.js");
  const { writeRunPage } = await import("../runs/run-page.js");
  const examples = imageFiles([join(data, "valid")]).slice(0, 4);
  const page = join(out, "page");
  const hasPage = await writeRunPage(console, weights, examples, { out: page, title: "Emoji detector" });
  const seconds = (performance.now() - began) / 1000;
  const report = join(out, "report.html");
  console.result();
  console.fields([
    ["images", wholePath(pictures), whatIsSeen(count, objects, threshold)],
    ["time", timeText(seconds, trained)],
    ...(existsSync(report)
      ? [["open", `${console.bold(wholePath(report))} in a browser: how it learnt, what it still gets wrong`] as const]
      : []),
    ...(hasPage
      ? [["page", `${console.bold(unbroken(serveCommand(page)))} shows the detector at work in a browser`] as const]
      : []),
    ["watch", `${console.bold(unbroken(watchCommand(dirname(out))))} shows every run, also while it trains`],
  ]);
  return { seconds, pictures, page: hasPage ? page : null };
}

/**
 * How long it took.
 * @internal for tests
 * @param seconds of this command
 * @param trained seconds of training, those before it was resumed included
 */
export const timeText = (seconds: number, trained: number): string =>
  trained > seconds
    ? `${hms(trained)} of training in all, ${hms(seconds)} since it was resumed`
    : `${hms(seconds)} in all`;

/** The images of a step shared out among the processes, where they can be: so the run is the same as that of one. */
function sharedBatch(batch: number, processes: number): { processes: number; batchSize: number } {
  return { processes, batchSize: Math.max(1, Math.floor(batch / processes)) };
}

/** What the pictures of the detections show. @param threshold null where the weights recorded none */
function whatIsSeen(images: number, objects: number, threshold: number | null): string {
  const where = `${images} images that training never saw`;
  return objects > 0
    ? `what the detector finds on ${where}${threshold === null ? "" : `, at its best threshold, ${thresholdText(threshold)}`}`
    : `nothing is found yet on ${where}: it needs more steps to be sure of anything`;
}

/** Uses the images of an earlier demo, or synthesises them. @returns their number and seed */
async function provideImages(console: Console, folder: string, asked: DemoImages): Promise<Required<DemoImages>> {
  const found = demoImages(folder, asked);
  if (found !== null) {
    console.progress(`using the ${found.images} training images of seed ${found.seed} in ${folder}`);
    return found;
  }
  const { synthesize } = await import("../../data/synth/synth.js");
  const seed = asked.seed ?? 0;
  const onProgress = (done: number, total: number): void => console.live(`synthesising images ${done}/${total}`);
  const { train, valid } = await abortedBySignal((signal) => synthesize(folder, { ...asked, onProgress, signal }));
  console.progress(`synthesised ${train} training and ${valid} validation images in ${folder}`);
  return { images: train, seed };
}

/**
 * Draws the detections of at most twelve validation images, one by one and together, at the threshold that the training
 * found best, as its report and the live page do.
 * @internal for tests
 * @returns the path of the picture of all, the numbers of images and of objects, and that threshold
 */
export async function draw(
  weights: string,
  folder: string,
  out: string,
): Promise<{ pictures: string; count: number; objects: number; threshold: number | null }> {
  const { Predictor } = await import("../../predict/predict.js");
  const { drawDetections } = await import("../../pictures/drawing/draw.js");
  const { mosaic } = await import("../../pictures/drawing/mosaic.js");
  const { imageFiles } = await import("../../predict/inputs/inputs.js");
  const predictor = Predictor.load(weights);
  const threshold = predictor.thresholds?.["*"] ?? null;
  makeFolder(out);
  const drawn: Buffer[] = [];
  let objects = 0;
  for (const file of imageFiles([folder]).slice(0, 12)) {
    const { detections } = await predictor.detect(file, threshold === null ? {} : { threshold });
    objects += detections.length;
    const name = `${basename(file).replace(/\.\w+$/, "")}.jpg`;
    const { classNames } = predictor;
    drawn.push(await drawDetections(file, detections, { classNames, out: join(out, name) }));
  }
  const together = join(out, "all.jpg");
  await mosaic(drawn, { columns: 4, out: together });
  return { pictures: together, count: drawn.length, objects, threshold };
}
