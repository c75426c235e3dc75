// `rfdetr doctor`
import type { Command } from "commander";
import { machineLine } from "../support/machine.js";
import { collect, consoleOf, exit, numeric, type OutputFlags, positiveInteger, weightsPath, withOutputFlags } from "./context.js";

interface DoctorFlags extends OutputFlags {
  device: string;
  model?: string;
  weights?: string;
  data?: string;
  batch?: number | string;
  images: number | string;
  threads?: number | string;
  override?: string[];
  casts?: boolean;
  write?: string;
}

export function addDoctor(program: Command, finish: (code: number) => void): void {
  withOutputFlags(
    program
      .command("doctor")
      .description(
        "show engine, hardware and the precision that fits them; with a model, weights or data, measure every precision on a training step and in evaluation",
      )
      .option("--model <variant>", "variant to measure")
      .option("--weights <file>", "trained weights to measure")
      .option("--data <dir>", "dataset for the training batch and the evaluated images")
      .option("--batch <n>", "images in the measured step", numeric)
      .option("--images <n>", "number of images of the valid split to evaluate", numeric, 48)
      .option("--override <pattern=rule>", "precision of modules, as in training; may be repeated", collect)
      .option("--casts", "show the dtypes of every operator by module, and what the casts cost")
      .option("--threads <n>", "threads to compute with", numeric)
      .option("--write <file>", "write the recommendation into this config file")
      .option("--device <d>", "auto, cpu or cuda:N", "auto"),
  ).action(async (flags: DoctorFlags) => finish(await doctor(flags)));
}

async function doctor(flags: DoctorFlags): Promise<number> {
  const console = consoleOf(flags);
  const batch = positiveInteger("batch", flags.batch ?? 2);
  const images = positiveInteger("images", flags.images);
  const threads = flags.threads === undefined ? null : positiveInteger("threads", flags.threads);
  const { engine, getNumThreads, setNumThreads } = await import("@rfdetr/torch");
  const { readHardware, resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../support/device.js");
  const { parseOverrides } = await import("./setting-flags.js");
  const overrides = parseOverrides(flags.override ?? []);
  const device = resolveDevice(flags.device);
  if (threads !== null) setNumThreads(threads);
  const { version, capability, cuda } = engine();
  const byTable = resolvePrecision("auto", device);
  const machine = readHardware(device);
  const hardware = machineLine();
  console.line(`engine     libtorch ${version}, ${capability}${cuda ? ", CUDA" : ""}, ${getNumThreads()} threads; Node ${process.version}`);
  console.line(`hardware   ${hardware}${machine.features.length > 0 ? `; ${machine.features.join(" ")}` : ""}`);
  console.line(`precision  ${console.bold(byTable.precision)}: ${byTable.reason}`);
  const about = { engine: { libtorch: version, capability, cuda, threads: getNumThreads(), node: process.version }, hardware };
  const measured =
    [flags.model, flags.weights, flags.data, flags.batch, flags.write, flags.override].some((value) => value !== undefined) ||
    flags.casts === true;
  if (!measured) {
    const { precision, reason } = byTable;
    if (console.json)
      console.data({ ...about, features: machine.features, recommended: { precision, reason }, precisions: [], evaluation: [] });
    return exit.done;
  }

  const { calibrateSubject } = await import("../train/calibrate-step.js");
  const { castsOf, evaluationImages, openSubject } = await import("../instruments/calibration.js");
  const { measurePeaks } = await import("../instruments/hardware-peaks.js");
  const { compareEvaluationModes } = await import("../instruments/compare-evaluations.js");
  const report = await import("./doctor-report.js");
  const weights = flags.weights === undefined ? undefined : await weightsPath(console, flags.weights);
  console.live("reading");
  const subject = await openSubject({ model: flags.model ?? "nano", batch, device, weights, data: flags.data });
  console.live("measuring matrix products");
  const peaks = measurePeaks(device, byTable.precision);
  report.peaks(console, peaks);
  if (flags.casts) {
    const casts = castsOf(subject, byTable.precision === "32-true" ? "bf16-mixed" : byTable.precision, overrides);
    console.line(`\n${casts.tree()}\n\n${casts.table()}`);
    if (console.json) console.data({ ...about, casts: { operators: casts.rows, casts: casts.casts, total: casts.total } });
    return exit.done;
  }
  const calibration = calibrateSubject(subject, { overrides, progress: (what) => console.live(`measuring ${what}`) });
  const { variant, resolution } = subject.model.config;
  report.precisions(console, `${variant} on ${batch} images`, calibration);
  const batches = flags.data === undefined ? [report.noise(subject)] : await evaluationImages(flags.data, resolution, images, batch);
  const evaluation = compareEvaluationModes({
    model: subject.model,
    classNames: subject.classNames,
    precision: byTable.precision,
    device,
    batches,
    progress: (mode, done) => console.live(`evaluating in ${mode}: ${done} images`),
  });
  report.evaluation(console, evaluation, subject.trained);
  const { recommended } = calibration;
  console.line();
  console.line(`recommended ${console.bold(recommended.precision)}: ${recommended.reason}`);
  if (flags.write !== undefined) {
    const { writeRecommendation } = await import("../settings/recommendation.js");
    const written = writeRecommendation(flags.write, calibration);
    console.line(`written to ${flags.write}: ${JSON.stringify(written)}`);
  }
  if (console.json)
    console.data({
      ...about,
      features: machine.features,
      ...peaks,
      recommended,
      precisions: calibration.precisions,
      exact: calibration.exact,
      evaluation,
    });
  return exit.done;
}
