// `rfdetr demo`: synthesises images, trains a detector on them and draws what it finds.
import { existsSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { formatBytes } from "@rfdetr/amp/text";
import type { Command } from "commander";
import { RunDirectory, type RunSummary } from "../run/files/run-directory.js";
import { makeFolder } from "../support/atomic.js";
import { consoleOf, exit, numeric, type OutputFlags, positiveInteger, withOutputFlags } from "./context.js";
import { duration, fraction } from "./format.js";
import { follow } from "./train.js";

interface DemoFlags extends OutputFlags {
  steps?: number | string;
  images: number | string;
  seed: number;
  data: string;
  out: string;
  precision: string;
}

/** Registers `rfdetr demo`. */
export function addDemo(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("demo")
      .description("synthesise images of emoji, train a small detector on them, evaluate it and draw what it finds")
      .option("--images <n>", "number of training images", numeric, 1500)
      .option("--steps <n>", "optimizer steps (default: 2000)", numeric)
      .option("--seed <n>", "seed of images and training", numeric, 0)
      .option("--precision <p>", "auto, 32-true, bf16-mixed or 16-mixed", "auto")
      .option("--data <dir>", "folder for the images", "datasets/demo")
      .option("--out <dir>", "run folder", "runs/demo"),
  ).action(async (flags: DemoFlags) => finish(await demo(flags)));
}

async function demo(flags: DemoFlags): Promise<number> {
  const console = consoleOf(flags);
  const began = performance.now();
  const images = positiveInteger("images", flags.images);
  if (existsSync(flags.data)) console.line(`using the images in ${flags.data}`);
  else {
    const { synthesize } = await import("../data/synth/synth.js");
    const { train, valid } = await synthesize(flags.data, {
      images,
      seed: flags.seed,
      onProgress: (done, total) => console.live(`synthesising images ${done}/${total}`),
    });
    console.line(`synthesised ${train} training and ${valid} validation images in ${flags.data}`);
  }

  const { resolveSettings } = await import("../settings/resolve.js");
  const { resumeConfig } = await import("../run/session/resume.js");
  const { TrainRun } = await import("../run/train-run.js");
  const unfinished = existsSync(join(flags.out, "checkpoint", "state.json")) && !finished(flags.out);
  if (!unfinished && existsSync(join(flags.out, "config.json"))) {
    console.line(`replacing the demo run in ${flags.out}`);
    rmSync(flags.out, { recursive: true });
  }
  const run = unfinished
    ? TrainRun.start(resumeConfig(flags.out), { resume: flags.out })
    : TrainRun.start(
        resolveSettings({
          model: "demo",
          datasetDir: flags.data,
          outputDir: flags.out,
          seed: flags.seed,
          precision: flags.precision,
          ...(flags.steps === undefined ? {} : { maxSteps: positiveInteger("steps", flags.steps) }),
        }),
      );
  const code = await follow(run, console);
  if (code !== exit.done) return code;
  const { summary, best } = await run.result;
  if (best === null) return exit.failed;
  const pictures = await draw(best, join(flags.data, "valid"), join(flags.out, "predictions"));
  conclude(console, summary, pictures, (performance.now() - began) / 1000);
  if (console.json) console.data({ ...summary, seconds: (performance.now() - began) / 1000, pictures });
  return exit.done;
}

function finished(run: string): boolean {
  const path = join(run, "summary.json");
  if (!existsSync(path)) return false;
  const { stop_reason: reason } = RunDirectory.open(run).readJson("summary.json") as RunSummary;
  return reason !== "interrupted" && reason !== "failed";
}

/** Draws the detections of twelve validation images, one by one and together. @returns the path of the latter */
async function draw(weights: string, folder: string, out: string): Promise<string> {
  const { Predictor } = await import("../predict/predict.js");
  const { drawDetections, mosaic } = await import("../predict/draw.js");
  const { imageFiles } = await import("../predict/inputs.js");
  const predictor = Predictor.load(weights);
  makeFolder(out);
  const drawn: Buffer[] = [];
  for (const file of imageFiles([folder]).slice(0, 12)) {
    const { detections } = await predictor.detect(file);
    drawn.push(
      await drawDetections(file, detections, { out: join(out, `${basename(file).replace(/\.\w+$/, "")}.jpg`) }),
    );
  }
  const together = join(out, "all.jpg");
  await mosaic(drawn, { columns: 4, out: together });
  return together;
}

function conclude(console: ReturnType<typeof consoleOf>, summary: RunSummary, pictures: string, seconds: number): void {
  console.line();
  console.line(`AP          ${fraction(summary.AP)}`);
  console.line(`AP50        ${fraction(summary.AP50)}`);
  console.line(`time        ${duration(seconds)} in all, ${duration(summary.train_seconds)} training`);
  console.line(`peak memory ${formatBytes(summary.peak_rss_bytes)}`);
  console.line(`precision   ${summary.precision}: ${summary.reason}`);
  console.line(`pictures    ${pictures}`);
}
