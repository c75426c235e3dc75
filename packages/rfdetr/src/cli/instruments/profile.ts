// `rfdetr profile`

import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import type { ProfileFigures } from "../../instruments/profile.js";
import { UsageError } from "../../support/errors.js";
import { agreeing, counted } from "../../support/format.js";
import { shapeInWords } from "../../support/shape.js";
import { withValues } from "../completion/values.js";
import type { Console } from "../console/console.js";
import {
  consoleOf,
  exit,
  flagValues,
  modelHelp,
  numeric,
  type OutputFlags,
  oneOf,
  positiveInteger,
  precisions,
  precisionsInWords,
  weightsPath,
  withOutputFlags,
} from "../context.js";

interface ProfileFlags extends OutputFlags {
  model?: string;
  weights?: string;
  data?: string;
  batch: number | string;
  precision: string;
  device: string;
  steps: number | string;
  warmup: number | string;
  infer?: boolean;
  shapes?: boolean;
  out?: string;
  top: number | string;
  depth: number | string;
}

/** Registers `rfdetr profile`. */
export function addProfile(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("profile")
      .description(
        "Show where the time of a training step goes, by phase, operator and module, and write a trace for a viewer",
      )
      .option("--model <variant>", `${modelHelp} (default: nano)`)
      .option("--weights <file>", "trained weights (default: random weights of the variant)")
      .option("--data <dir>", "dataset for the batch (default: noise with eight boxes per image)")
      .option("--batch <n>", "images per step", numeric, 2)
      .option("--infer", "profile prediction instead of training")
      .option("--precision <p>", precisionsInWords, "auto")
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option("--steps <n>", "number of recorded steps; figures are per step", numeric, 3)
      .option("--warmup <n>", "steps before them that are not recorded", numeric, 2)
      .option("--shapes", "also record the dtypes and shapes of the operators' tensors")
      .option("--out <file>", "write a trace to this file, for ui.perfetto.dev or chrome://tracing")
      .option("--top <n>", "number of operators to show", numeric, 20)
      .option("--depth <n>", "number of levels of modules to show", numeric, 6),
  );
  withValues(command, { ...flagValues.model, ...flagValues.precision, ...flagValues.device }).action(
    async (flags: ProfileFlags) => finish(await run(flags)),
  );
}

async function run(flags: ProfileFlags): Promise<number> {
  const batch = positiveInteger("batch", flags.batch);
  const [steps, warmup] = [positiveInteger("steps", flags.steps), positiveInteger("warmup", flags.warmup)];
  const [top, depth] = [positiveInteger("top", flags.top), positiveInteger("depth", flags.depth)];
  const asked = oneOf("precision", flags.precision, precisions);
  if (flags.model !== undefined && flags.weights !== undefined)
    throw new UsageError("Expected --model or --weights but received both: the weights say which variant they are");
  const console = consoleOf(flags);
  const { out } = flags;
  if (out !== undefined) checkWritable(out);
  const { resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../../support/machine/device.js");
  const device = resolveDevice(flags.device);
  const { precision } = resolvePrecision(asked, device);
  const { machineLine } = await import("../../support/machine/machine.js");
  console.sentence(console.dim(machineLine()));

  const weights = flags.weights === undefined ? undefined : await weightsPath(console, flags.weights);
  const { openSubject } = await import("../../instruments/precision/calibration.js");
  console.live("reading");
  const subject = await openSubject({ model: flags.model ?? "nano", batch, device, weights, data: flags.data });
  const { profileFigures, profilePrediction, profileTraining } = await import("../../instruments/profile.js");
  const take = flags.infer ? profilePrediction : profileTraining;
  const taken = take(subject, {
    precision,
    steps,
    warmup,
    shapes: flags.shapes,
    progress: (what) => console.live(what),
  });
  console.end();
  const figures = profileFigures(taken);
  sayWhatWasProfiled(console, figures);
  const report = await import("./profile-report.js");
  for (const table of [
    report.phaseTable(figures.phases),
    report.operatorTable(figures.operators, top),
    report.moduleTable(figures.modules, depth, 0.005),
  ]) {
    console.result();
    console.table(table.header, table.rows, table.dispensable);
  }
  if (out !== undefined) {
    const { chromeTrace } = await import("@rfdetr/torch");
    const { replaceText } = await import("../../support/files/atomic.js");
    const { model, what, resolution, threads } = figures;
    const about = { model, what, precision, device, batch, threads, machine: machineLine() };
    replaceText(out, JSON.stringify(chromeTrace(taken.profile, { ...about, resolution: shapeInWords(resolution) })));
    console.result();
    console.sentence(`trace written to ${out}: open it in ui.perfetto.dev or chrome://tracing`);
  }
  if (console.json) console.data(figures);
  return exit.done;
}

/** Says what was profiled, how long a step takes, and what to know about the times. */
function sayWhatWasProfiled(
  console: Console,
  {
    model,
    what,
    precision,
    batch,
    resolution,
    device,
    threads,
    steps,
    step_ms: milliseconds,
    ...figures
  }: ProfileFigures,
): void {
  const share = (milliseconds.recorded / milliseconds.plain.median - 1) * 100;
  console.sentence(
    `${console.bold(`${model} ${what}, ${precision}`)}: batch ${batch} at ${shapeInWords(resolution)} px on ${device}, ${threads} threads`,
  );
  const [recorded, plain] = [milliseconds.recorded, milliseconds.plain.median].map((value) => `${value.toFixed(1)} ms`);
  const overhead = `${share < 0 ? "−" : "+"}${Math.abs(share).toFixed(1)} %`;
  const events = Math.round(figures.events / steps);
  console.sentence(
    `a step takes ${recorded} while it is profiled, ${plain} otherwise (${overhead}); ${events} events per step`,
  );
  if (device !== "cpu")
    console.warning(
      `operators on ${device} run on after their calls return: the times are those of the calls, including waits for results`,
    );
  if (figures.dropped > 0)
    console.warning(
      `${counted(figures.dropped, "event")} at the end ${agreeing(figures.dropped, "was", "were")} dropped because the buffer was full: record fewer steps`,
    );
}

/** Checked up front, because the steps take time. @throws RfdetrError unless a file can stand there. */
function checkWritable(out: string): void {
  const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isFolder(out)) throw new UsageError(`Expected a file for out but ${out} is a folder`);
  if (!isFolder(dirname(out)))
    throw new UsageError(`Expected a file in a folder that exists for out but ${dirname(out)} is none`);
}
