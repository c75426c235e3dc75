// `rfdetr predict`

import type { Command } from "commander";
import type { RFDETR } from "../../detector/detector.js";
import { shownImage, stdinName } from "../../predict/inputs/address.js";
import type { ImageInput } from "../../predict/inputs/image-input.js";
import { type FileError, type FilePrediction, resultFormats } from "../../predict/outputs/result-formats.js";
import type { PredictManyOptions } from "../../predict/predictions.js";
import type { StopSignal } from "../../run/control/stop-request.js";
import { UsageError } from "../../support/errors.js";
import { counted, shownPath, unbroken } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import { Console } from "../console/console.js";
import {
  collect,
  exit,
  flagValues,
  numberFormatHelp,
  numberFormatOf,
  numeric,
  type OutputFlags,
  oneOf,
  positiveInteger,
  precisions,
  precisionsInWords,
  shape,
  type WeightsFlags,
  withOutputFlags,
  withWeightsFlags,
} from "../context.js";
import { exitCodes } from "../run-stopper.js";
import { cleanedUp } from "../signals.js";
import { Interruption } from "./interruption.js";
import type { DetectorRequest } from "./predict-detector.js";
import type { PredictOutput } from "./predict-output.js";
import { readThresholds, recordedWords } from "./thresholds.js";

interface PredictFlags extends OutputFlags, WeightsFlags {
  weights: string;
  threshold?: string[];
  precision: string;
  numberFormat?: string;
  batch: number | string;
  tiles?: number | string;
  shape?: string;
  class?: string[];
  maxDetections?: number | string;
  antialias: boolean;
  autoOrient: boolean;
  format?: string;
  out?: string;
  draw: boolean;
  crops?: boolean;
  device: string;
  track?: boolean;
  every?: number | string;
  start?: number | string;
  end?: number | string;
  annotations?: string;
}

/** Registers `rfdetr predict`. */
export function addPredict(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("predict")
      .description("Detect objects in images or videos and draw them")
      .argument(
        "<source...>",
        "images, folders, patterns such as 'photos/**/*.jpg', addresses (https://…), - for an image on stdin; or videos, camera:0, rtsp://…",
      )
      .requiredOption(
        "--weights <file>",
        "trained weights: a file, a run folder, the name of published ones such as nano, or an exported .onnx",
      )
      .option(
        "--threshold <x>",
        "lowest score to report, of all classes or, as heron=0.3, of one; best and best-by-class: as the evaluation of the training recorded it; may be repeated (default: 0.5)",
        collect,
      )
      .option("--precision <p>", precisionsInWords, "auto")
      .option("--number-format <name>", `${numberFormatHelp} (default: as in training)`)
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option("--batch <n>", "images per batch, or auto, which tries what is fastest", numeric, 1)
      .option("--class <name>", "report this class only; may be repeated", collect)
      .option("--max-detections <n>", "most objects to report of an image, the best ones", numeric)
      .option(
        "--tiles <px>",
        "cut large images into overlapping tiles with this side in pixels, for small objects",
        numeric,
      )
      .option("--shape <hxw>", "height and width that the model sees, as 384x640, or one side (default: its own)")
      .option(
        "--out <dir>",
        "folder for pictures and results; only those of earlier predictions are replaced (default: a new folder predictions; with --json or --format: stdout)",
      )
      .option("--format <name>", "also write the results as json, coco, yolo or csv")
      .option(
        "--annotations <file>",
        "with --format coco: take the ids of images and categories from this COCO annotation file, by their names",
      )
      .option("--no-draw", "write no pictures")
      .option("--crops", "cut the objects out, into the folder crops of the output, by class")
      .option("--track", "follow the objects of a video: ByteTrack")
      .option("--every <n>", "of a video, read every n-th frame", numeric)
      .option("--start <s>", "seconds of a video at which reading begins", numeric)
      .option("--end <s>", "seconds of a video at which reading ends", numeric)
      .option("--no-antialias", "resize as RFDETR.predict of the Python package does, not as evaluation does")
      .option("--no-auto-orient", "leave images as they are stored, whatever their EXIF tag says"),
  );
  withValues(command, {
    ...flagValues.precision,
    ...flagValues.numberFormat,
    ...flagValues.device,
    "--threshold": recordedWords,
    "--format": resultFormats,
  });
  withWeightsFlags(command).action(async (inputs: string[], flags: PredictFlags) =>
    finish(await predict(inputs, flags)),
  );
}

async function predict(inputs: readonly string[], flags: PredictFlags): Promise<number> {
  const threshold = readThresholds(flags.threshold ?? []);
  const precision = oneOf("precision", flags.precision, precisions);
  const batch: number | "auto" = flags.batch === "auto" ? "auto" : positiveInteger("batch", flags.batch);
  const asked = { precision, threshold, ...numberFormatOf(flags) };
  const selection = selectionOf(flags);
  const format = flags.format === undefined ? null : oneOf("format", flags.format, resultFormats);
  const json = flags.json ?? false;
  if (json && flags.out === undefined && format !== null && format !== "json" && format !== "yolo")
    throw new UsageError(`Expected --out beside --json and --format ${format}: stdout takes one of them`);
  const onStdout = flags.out === undefined && format !== null && format !== "yolo";
  const console = new Console({ json: json || onStdout, ...(flags.plain ? { plain: true } : {}) });
  const { isVideoName } = await import("../../predict/video/video-name.js");
  const options = { batch, ...selection, antialias: flags.antialias, autoOrient: flags.autoOrient };
  if (inputs.some(isVideoName)) return predictFrames(console, inputs, flags, { ...asked, options });
  for (const flag of ["track", "every", "start", "end"] as const)
    if (flags[flag] !== undefined) throw noVideo(flag, inputs.includes(stdinName));
  const { belowInWords, findImages, kindsInWords } = await import("../../predict/inputs/inputs.js");
  const { files, passedOver, below } = findImages(inputs, [stdinName]);
  (await import("./predict-sources.js")).checkStdin(files);
  if (passedOver.size > 0) console.warning(`passed over ${kindsInWords(passedOver)}, which cannot be decoded`);
  for (const sentence of belowInWords(below)) console.fact(sentence);
  const { cocoIds, tellIds } = await import("./coco-ids.js");
  const ids = cocoIds(flags.annotations, format, files);
  const { openPredictOutput } = await import("./predict-output.js");
  const { NothingFound } = await import("./nothing-found.js");
  const draws = flags.draw && (flags.out !== undefined || (!json && format === null));
  let made: PredictOutput | null = null;
  const giveUp = (): void => made?.giveUp();
  const open = async () => {
    const options = { out: flags.out ?? null, draw: draws, crops: flags.crops ?? false, format };
    const output = openPredictOutput(files, {
      ...options,
      autoOrient: flags.autoOrient,
      ...(ids === null ? {} : { ids }),
    });
    made = output;
    const { openDetector } = await import("./predict-detector.js");
    return { output, ...(await openDetector(console, flags, { ...asked, draws })) };
  };
  try {
    const { output, ...opened } = await cleanedUp(giveUp, open);
    await using detector = opened.detector;
    const selected = { ...options, threshold: opened.threshold };
    const nothing = new NothingFound("images", selected);
    const { images, errors, signal } = await predictFiles(detector, files, selected, output, console);
    console.end();
    const text = output.finish(images, errors, detector.classNames ?? []);
    const { jsonResults, lostMasks } = await import("../../predict/outputs/result-formats.js");
    const lost = lostMasks(format, images);
    if (lost !== null) console.warning(lost);
    if (format === "coco") tellIds(console, ids, images);
    if (json) console.data({ ...jsonResults(images, errors), ...failure(images, errors) });
    else if (onStdout) console.text(text);
    for (const image of images) nothing.add(shownImage(image.file), image);
    conclude(console, { images, errors, signal, all: files.length }, output.path);
    nothing.tell(console);
    if (signal !== null) return exitCodes[signal];
    return errors.length === 0 ? exit.done : images.length === 0 ? exit.failed : exit.partial;
  } catch (error) {
    giveUp();
    throw error;
  }
}

/** The error of the command in its JSON: where no image could be read, it failed. */
function failure(images: readonly FilePrediction[], errors: readonly FileError[]): object {
  if (images.length > 0 || errors.length === 0) return {};
  const message = errors.length === 1 ? errors[0].message : unreadable(errors.length, errors.length);
  return { error: { code: "ERR_PICTURE_INPUT", message } };
}

const unreadable = (count: number, all: number): string => `${counted(count, "image")} of ${all} could not be read`;

/** What is looked for, and in which parts. */
function selectionOf(flags: PredictFlags): Pick<PredictManyOptions, "classes" | "maxDetections" | "shape" | "tiles"> {
  return {
    ...(flags.class === undefined ? {} : { classes: flags.class }),
    ...(flags.maxDetections === undefined
      ? {}
      : { maxDetections: positiveInteger("max_detections", flags.maxDetections) }),
    ...(flags.shape === undefined ? {} : { shape: shape("shape", flags.shape) }),
    ...(flags.tiles === undefined ? {} : { tiles: positiveInteger("tiles", flags.tiles) }),
  };
}

interface Outcome {
  images: FilePrediction[];
  errors: FileError[];
  /** What stopped it before the end. */
  signal: StopSignal | null;
}

/** Predicts every file, and goes on after those that cannot be read. Ctrl-C ends it with what there is. */
async function predictFiles(
  detector: RFDETR,
  files: readonly string[],
  options: PredictManyOptions,
  output: PredictOutput,
  console: Console,
): Promise<Outcome> {
  const images: FilePrediction[] = [];
  const errors: FileError[] = [];
  const interruption = new Interruption();
  const { inOneLine } = await import("../../predict/outputs/result-formats.js");
  const { namedIn, PredictSources } = await import("./predict-sources.js");
  const failed = (error: Error, file: string): void => {
    const message = namedIn(error.message, file);
    errors.push({ file, message });
    // The only image: its error is that of the command.
    if (files.length === 1) console.error(message);
    else console.warning(message);
  };
  const sources = new PredictSources(files, interruption.abort, failed);
  const onError = (error: Error, source: ImageInput): void => failed(error, sources.nameOf(source));
  try {
    await interruption.during(async () => {
      const predictions = detector.predict(sources, { ...options, onError, signal: interruption.abort });
      for await (const { source, ...detected } of predictions) {
        const image = { file: sources.nameOf(source), ...detected };
        await output.add(image, source, detector.classNames ?? []);
        images.push(image);
        const found = inOneLine(image.detections).split(", ").map(unbroken).join(", ");
        console.sentence(`${shownImage(image.file)}: ${found}`, 4);
        console.live(`${images.length + errors.length}/${counted(files.length, "image")}`);
      }
    });
  } finally {
    interruption.close();
  }
  return { images, errors, signal: interruption.signal };
}

const noVideo = (flag: string, onStdin: boolean): UsageError =>
  new UsageError(
    `Expected a video for --${flag} but received ${onStdin ? "an image on stdin: give the file of the video" : "images"}`,
  );

/** Predicts videos: see `predict-videos.ts`. */
async function predictFrames(
  console: Console,
  inputs: readonly string[],
  flags: PredictFlags,
  { options: given, ...asked }: Omit<DetectorRequest, "draws"> & { options: PredictManyOptions },
): Promise<number> {
  const { isVideoName } = await import("../../predict/video/video-name.js");
  const other = inputs.find((input) => !isVideoName(input));
  if (other !== undefined)
    throw new UsageError(
      `Expected either images or videos but received both: ${shownImage(other)} is no video. Run it for each`,
    );
  if (flags.crops) throw new UsageError("Expected images for --crops but received a video");
  if (flags.annotations !== undefined) throw new UsageError("Expected images for --annotations but received a video");
  if (flags.format !== undefined && flags.format !== "json")
    throw new UsageError(`Expected json for --format with a video but received ${flags.format}`);
  const { concludeVideos, framesAsked, openVideoOutput, predictVideos } = await import("./predict-videos.js");
  const writes = flags.out !== undefined || !console.json;
  const task = {
    out: flags.out ?? null,
    writes,
    draw: flags.draw && writes,
    track: flags.track ?? false,
    frames: framesAsked(flags),
  };
  const output = openVideoOutput(inputs, task);
  try {
    const opened = await cleanedUp(
      () => output.folder?.close(),
      async () => (await import("./predict-detector.js")).openDetector(console, flags, { ...asked, draws: task.draw }),
    );
    await using detector = opened.detector;
    const options = { ...given, threshold: opened.threshold };
    const outcome = await predictVideos(detector, inputs, options, task, { output, console });
    console.end();
    concludeVideos(console, outcome, output.folder?.path ?? null, inputs.length);
    if (outcome.signal !== null) return exitCodes[outcome.signal];
    return outcome.failed === 0 ? exit.done : outcome.frames === 0 ? exit.failed : exit.partial;
  } finally {
    output.folder?.close();
  }
}

function conclude(
  console: Console,
  { images, errors, signal, all }: Outcome & { all: number },
  folder: string | null,
): void {
  const objects = images.reduce((sum, { detections }) => sum + detections.length, 0);
  const where = folder === null ? "" : `, written to ${shownPath(folder)}`;
  if (images.length > 0 || errors.length === 0)
    console.result(`${counted(objects, "object")} in ${counted(images.length, "image")}${where}`);
  if (errors.length > 0 && all > 1) console.error(unreadable(errors.length, all));
  if (signal !== null) console.error(`stopped after ${images.length + errors.length} of ${counted(all, "image")}`);
}
