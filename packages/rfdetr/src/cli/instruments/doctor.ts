// `rfdetr doctor`

import type { CastMap, Overrides, Precision, ResolvedPrecision } from "@rfdetr/amp";
import { type NumberFormatName, numberFormatNames } from "@rfdetr/amp/names";
import type { Command } from "commander";
import type { EvaluatedMode } from "../../instruments/precision/compare-evaluations.js";
import { checkThreads } from "../../run/launch/shares.js";
import { UsageError } from "../../support/errors.js";
import { counted, either } from "../../support/format.js";
import { busyness, machineLine } from "../../support/machine/machine.js";
import { type Shape, shapeInWords } from "../../support/shape.js";
import type { Subject } from "../../train/measure/calibrate-step.js";
import { withValues } from "../completion/values.js";
import type { Console } from "../console/console.js";
import {
  collect,
  consoleOf,
  exit,
  flagValues,
  modelHelp,
  numeric,
  type OutputFlags,
  oneOf,
  positiveInteger,
  weightsPath,
  withOutputFlags,
} from "../context.js";
import type { ReportedFrom } from "./doctor-threshold.js";

interface DoctorFlags extends OutputFlags {
  device: string;
  model?: string;
  weights?: string;
  data?: string;
  batch?: number | string;
  images: number | string;
  threshold?: string;
  threads?: number | string;
  override?: string[];
  casts?: boolean;
  formats?: string[] | true;
  write?: string;
}

/** Registers `rfdetr doctor`. */
export function addDoctor(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("doctor")
      .description(
        "Show engine, hardware and the precision that fits them; with a model, weights or data, measure every precision on a training step and in evaluation",
      )
      .option("--model <variant>", `variant to measure: ${modelHelp}`)
      .option("--weights <file>", "trained weights to measure")
      .option("--data <dir>", "dataset for the training batch and the evaluated images")
      .option("--batch <n>", "images in the measured step", numeric)
      .option("--images <n>", "number of images of the valid split to evaluate", numeric, 48)
      .option(
        "--threshold <x>",
        "score above which a detection counts as reported: 0 to 1, or best, as the evaluation of the training found (default: best where the weights have one, else 0.5)",
      )
      .option("--override <pattern=rule>", "precision of modules, as in training; may be repeated", collect)
      .option("--casts", "show the dtypes of every operator by module, the reasons, and what the casts cost")
      .option(
        "--formats [names...]",
        `what number formats would do to the training that this machine may not have: ${either(numberFormatNames)} (default: all)`,
      )
      .option("--threads <n>", "threads to compute with", numeric)
      .option("--write <file>", "write the recommendation into this config file")
      .option("--device <d>", "auto, cpu or cuda:N", "auto"),
  );
  withValues(command, {
    ...flagValues.model,
    ...flagValues.device,
    "--formats": numberFormatNames,
    "--threshold": ["best"],
  }).action(async (flags: DoctorFlags) => finish(await doctor(flags)));
}

async function doctor(flags: DoctorFlags): Promise<number> {
  const console = consoleOf(flags);
  const batch = positiveInteger("batch", flags.batch ?? 2);
  const images = positiveInteger("images", flags.images);
  const threads = flags.threads === undefined ? null : positiveInteger("threads", flags.threads);
  const crowded = threads === null ? null : checkThreads(threads);
  if (crowded !== null) console.warning(crowded);
  if (flags.casts)
    for (const [flag, value] of [
      ["--write", flags.write],
      ["--formats", flags.formats],
    ] as const)
      if (value !== undefined) throw new UsageError(`Expected --casts or ${flag} but received both`);
  if (flags.threshold !== undefined && flags.weights === undefined)
    throw new UsageError("Expected --weights with --threshold but received none: random weights find nothing");
  const { parseOverrides } = await import("../train/setting-flags.js");
  const overrides = parseOverrides(flags.override ?? []);
  const machine = await describeMachine(console, flags.device, threads);
  const { weights, data } = flags;
  const asked = [flags.model, weights, data, flags.batch, flags.write, flags.override, flags.casts, flags.formats];
  if (asked.some((value) => value !== undefined)) {
    await measure(console, flags, machine, { batch, images, overrides });
    return exit.done;
  }
  const { about, features, resolved } = machine;
  const recommended = { precision: resolved.precision, reason: resolved.reason };
  if (console.json) console.data({ ...about, features, recommended, precisions: [], evaluation: [] });
  return exit.done;
}

interface Machine {
  device: string;
  /** Engine and hardware, for JSON. */
  about: Record<string, unknown>;
  /** Instruction sets that decide about precision. */
  features: readonly string[];
  /** What `auto` means on this hardware. */
  resolved: ResolvedPrecision;
}

/** Prints engine, hardware and the precision that fits it. */
async function describeMachine(console: Console, name: string, threads: number | null): Promise<Machine> {
  const { engine, getNumThreads, setNumThreads } = await import("@rfdetr/torch");
  const { readHardware, resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../../support/machine/device.js");
  const { libtorchInUse } = await import("@rfdetr/torch/setup");
  const device = resolveDevice(name);
  if (threads !== null) setNumThreads(threads);
  const { version, capability, kernels, cuda, threadsReason } = engine();
  const resolved = resolvePrecision("auto", device);
  const { features } = readHardware(device);
  const hardware = machineLine();
  const { version: node } = process;
  const isa = `own kernels ${kernels}${process.env.RFDETR_ISA ? " (RFDETR_ISA)" : ""}`;
  const why = threads === null ? threadsReason : "--threads";
  const library = process.env.RFDETR_ADDON === undefined ? libtorchInUse() : null;
  const choice = library?.isChosen ? " (chosen; rfdetr setup --libtorch auto forgets it)" : "";
  console.fields([
    ["engine", `libtorch ${version}, ${capability}, ${isa}${cuda ? ", CUDA" : ""}; Node ${node}`],
    ...(library === null ? [] : [["libtorch", `${library.root}${choice}`] as const]),
    ["threads", `${getNumThreads()} (${why})`],
    ["hardware", hardware, ...(features.length > 0 ? [features.join(" ")] : [])],
    ["load", busyness().text],
    ["precision", `${console.bold(resolved.precision)} by default: ${resolved.reason}`],
  ]);
  const about = {
    engine: {
      libtorch: version,
      folder: library?.root ?? null,
      capability,
      kernels,
      cuda,
      threads: getNumThreads(),
      threadsReason,
      node,
    },
    hardware,
    load: busyness(),
  };
  return { device, about, features, resolved };
}

/** Measures matrix products, and then either the casts or every precision in training and evaluation. */
async function measure(
  console: Console,
  flags: DoctorFlags,
  { device, about, features, resolved }: Machine,
  { batch, images, overrides }: { batch: number; images: number; overrides: Overrides },
): Promise<void> {
  const { calibrateSubject, memoryPrices } = await import("../../train/measure/calibrate-step.js");
  const { castsOf, openSubject } = await import("../../instruments/precision/calibration.js");
  const { measurePeaks } = await import("../../instruments/bench/hardware-peaks.js");
  const { readHardware } = await import("@rfdetr/amp");
  const report = await import("./doctor-report.js");
  const weights = flags.weights === undefined ? undefined : await weightsPath(console, flags.weights);
  const from = await thresholdOf(flags, weights);
  const { precision } = resolved;
  console.live("reading");
  const asked = { model: flags.model ?? "nano", batch, device, weights, data: flags.data, overrides };
  const subject = await openSubject(asked);
  console.doing("measuring matrix products");
  const peaks = measurePeaks(device, precision);
  report.peaks(console, peaks);
  if (flags.casts) {
    const lower = precision === "32-true" ? "bf16-mixed" : precision;
    const casts = castsOf(subject, lower);
    showCasts(console, casts, { lower, batch, ...subject.model.config });
    const { rows: operators, casts: made, total } = casts;
    const recommended = { precision, reason: resolved.reason };
    const measured = { recommended, precisions: [], evaluation: [], precision: lower };
    if (console.json) console.data({ ...about, features, ...measured, casts: { operators, casts: made, total } });
    return;
  }
  const progress = (what: string) => console.doing(`measuring ${what}`, what.replace(/, round .*/, ""));
  const calibration = calibrateSubject(subject, { formats: formatsOf(flags.formats), progress });
  const { variant } = subject.model.config;
  const emulates = device === "cpu" && !readHardware("cpu").fp16;
  report.precisions(console, `${variant} on ${counted(batch, "image")}`, calibration, emulates);
  if (calibration.formats.length > 0) report.formats(console, calibration);
  const moments = report.moments(console, subject.model);
  console.doing("measuring what sparing memory costs");
  const spared = report.sparedIn(calibration, precision, flags.write !== undefined);
  const prices = memoryPrices(subject, { precision: spared.precision });
  report.memory(console, spared, prices);
  const evaluated = await evaluateModes(console, subject, flags.data, { images, batch, from });
  const { recommended, precisions, formats, exact } = calibration;
  console.result();
  for (const sentence of report.advice(calibration, resolved)) console.sentence(sentence);
  if (flags.write !== undefined) {
    const { writeRecommendation } = await import("../../settings/recommendation.js");
    console.sentence(report.written(flags.write, writeRecommendation(flags.write, calibration), recommended));
  }
  if (console.json) {
    const measured = {
      recommended,
      default: { precision, reason: resolved.reason },
      precisions,
      formats,
      exact,
      moments,
      memory: prices,
      memory_precision: spared.precision,
      ...evaluated,
      trained: subject.trained,
    };
    console.data({ ...about, features, ...peaks, ...measured });
  }
}

/** Compares the ways to evaluate, prints them, and returns what `--json` has of them. */
async function evaluateModes(
  console: Console,
  subject: Subject,
  data: string | undefined,
  { images, batch, from }: { images: number; batch: number; from: ReportedFrom },
): Promise<{
  evaluation: EvaluatedMode[];
  evaluated: { images: number; of: number } | null;
  evaluation_precision: Precision;
}> {
  const { evaluationImages } = await import("../../instruments/precision/calibration.js");
  const { compareEvaluationModes } = await import("../../instruments/precision/compare-evaluations.js");
  const { resolveTrained } = await import("../../weights/trained-precision.js");
  const { evaluation: showEvaluation } = await import("./doctor-evaluation.js");
  const { noise } = await import("./doctor-report.js");
  const { model, rules, device, trained } = subject;
  const seen = data === undefined ? null : await evaluationImages(subject, data, { count: images, batch });
  const { precision } = resolveTrained("auto", rules, device);
  const evaluation = compareEvaluationModes({
    model,
    classNames: seen?.classNames ?? subject.classNames,
    ...(seen?.classes && { classes: seen.classes }),
    precision,
    rules,
    threshold: from.threshold,
    device,
    batches: seen?.batches ?? [noise(subject)],
    progress: (mode, done) => console.doing(`evaluating in ${mode}: ${done} images`, mode),
  });
  showEvaluation(console, evaluation, { trained, seen, byDefault: precision, from });
  const evaluated = seen === null ? null : { images: seen.images, of: seen.of };
  return { evaluation, evaluated, evaluation_precision: precision };
}

/** The score above which detections are compared as `predict` would report them. @throws UsageError, CheckpointError */
async function thresholdOf({ threshold }: DoctorFlags, weights: string | undefined): Promise<ReportedFrom> {
  const { reportedFrom } = await import("./doctor-threshold.js");
  const { readRecordedThresholds } = await import("../../weights/weights.js");
  return reportedFrom(threshold, weights === undefined ? null : readRecordedThresholds(weights), weights ?? "");
}

/** The formats that a flag names; all for the bare flag, none without it. @throws UsageError */
const formatsOf = (names: string[] | true | undefined): NumberFormatName[] =>
  names === true ? numberFormatNames : (names ?? []).map((name) => oneOf("formats", name, numberFormatNames));

/** Prints which operators ran in which dtypes. */
function showCasts(
  console: Console,
  casts: CastMap,
  { lower, batch, variant, resolution }: { lower: Precision; batch: number; variant: string; resolution: Shape },
): void {
  console.result();
  console.sentence(
    `casts of a training step in ${lower}: ${variant} on ${counted(batch, "image")} of ${shapeInWords(resolution)} px`,
  );
  console.result(`\n${casts.tree()}\n\n${casts.table()}`);
}
