// `rfdetr predict`
import type { Command } from "commander";
import type { RFDETR } from "../../detector/detector.js";
import type { FileError, FilePrediction } from "../../predict/outputs/result-formats.js";
import type { PredictManyOptions } from "../../predict/predictions.js";
import type { StopSignal } from "../../run/control/stop-wish.js";
import { UsageError } from "../../support/errors.js";
import { counted, shownPath } from "../../support/format.js";
import { Console } from "../console/console.js";
import { unbroken } from "../console/style.js";
import {
  collect,
  exit,
  numeric,
  type OutputFlags,
  oneOf,
  positiveInteger,
  precisions,
  reading,
  share,
  type WeightsFlags,
  weightsPath,
  withOutputFlags,
  withWeightsFlags,
} from "../context.js";
import { exitCodes } from "../stop-requests.js";
import type { PredictOutput } from "./predict-output.js";

interface PredictFlags extends OutputFlags, WeightsFlags {
  weights: string;
  threshold: number | string;
  precision: string;
  batch: number | string;
  tiles?: number | string;
  class?: string[];
  maxDetections?: number | string;
  antialias: boolean;
  autoOrient: boolean;
  format?: string;
  out?: string;
  draw: boolean;
  crops?: boolean;
  device: string;
}

/** Registers `rfdetr predict`. */
export function addPredict(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("predict")
      .description("Detect objects in images and draw them")
      .argument("<image...>", "images, folders, or patterns such as 'photos/**/*.jpg'")
      .requiredOption(
        "--weights <file>",
        "trained weights: a file, a run folder, the name of published ones such as nano, or an exported .onnx",
      )
      .option("--threshold <x>", "lowest score to report", numeric, 0.5)
      .option("--precision <p>", "auto, 32-true, tf32, bf16-mixed or 16-mixed", "auto")
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option("--batch <n>", "images per batch", numeric, 1)
      .option("--class <name>", "report this class only; may be repeated", collect)
      .option("--max-detections <n>", "most objects to report of an image, the best ones", numeric)
      .option("--tiles <px>", "cut large images into overlapping tiles with this side, for small objects", numeric)
      .option(
        "--out <dir>",
        "folder for pictures and results; only those of earlier predictions are replaced (default: a new folder predictions; with --json or --format: stdout)",
      )
      .option("--format <name>", "also write the results as json, coco, yolo or csv")
      .option("--no-draw", "write no pictures")
      .option("--crops", "cut the objects out, into the folder crops of the output, by class")
      .option("--no-antialias", "resize as RFDETR.predict of the Python package does, not as evaluation does")
      .option("--no-auto-orient", "leave images as they are stored, whatever their EXIF tag says"),
  );
  withWeightsFlags(command).action(async (inputs: string[], flags: PredictFlags) =>
    finish(await predict(inputs, flags)),
  );
}

async function predict(inputs: readonly string[], flags: PredictFlags): Promise<number> {
  const { resultFormats } = await import("../../predict/outputs/result-formats.js");
  const threshold = share("threshold", flags.threshold);
  const precision = oneOf("precision", flags.precision, precisions);
  const batch = positiveInteger("batch", flags.batch);
  const selection = selectionOf(flags);
  const format = flags.format === undefined ? null : oneOf("format", flags.format, resultFormats);
  const json = flags.json ?? false;
  if (json && flags.out === undefined && format !== null && format !== "json" && format !== "yolo")
    throw new UsageError(`Expected --out beside --json and --format ${format}: stdout takes one of them`);
  const onStdout = flags.out === undefined && format !== null && format !== "yolo";
  const console = new Console({ json: json || onStdout, ...(flags.plain ? { plain: true } : {}) });
  const { belowInWords, findImages, kindsInWords } = await import("../../predict/inputs/inputs.js");
  const { files, passedOver, below } = findImages(inputs);
  if (passedOver.size > 0) console.warning(`passed over ${kindsInWords(passedOver)}, which cannot be decoded`);
  for (const sentence of belowInWords(below)) console.fact(sentence);
  const { openPredictOutput } = await import("./predict-output.js");
  const draws = flags.draw && (flags.out !== undefined || (!json && format === null));
  const output = openPredictOutput(files, {
    out: flags.out ?? null,
    draw: draws,
    crops: flags.crops ?? false,
    format,
    autoOrient: flags.autoOrient,
  });
  try {
    const { RFDETR } = await import("../../detector/detector.js");
    const weights = await weightsPath(console, flags.weights);
    await using detector = await RFDETR.load(weights, { precision, device: flags.device, ...reading(console, flags) });
    const { fontWarning } = await import("../../predict/drawing/lettering.js");
    const fonts = draws ? await fontWarning(detector.classNames ?? []) : null;
    if (fonts !== null) console.warning(fonts);
    const options = { threshold, batch, ...selection, antialias: flags.antialias, autoOrient: flags.autoOrient };
    const { images, errors, signal } = await predictFiles(detector, files, options, output, console);
    console.end();
    const text = output.finish(images, errors, detector.classNames ?? []);
    if (json) console.data((await import("../../predict/outputs/result-formats.js")).jsonResults(images, errors));
    else if (onStdout) console.text(text);
    conclude(console, { images, errors, signal, all: files.length }, output.path);
    if (signal !== null) return exitCodes[signal];
    return errors.length === 0 ? exit.done : images.length === 0 ? exit.failed : exit.partial;
  } catch (error) {
    output.giveUp();
    throw error;
  }
}

/** What is looked for, and in which parts. */
function selectionOf(flags: PredictFlags): Pick<PredictManyOptions, "classes" | "maxDetections" | "tiles"> {
  return {
    ...(flags.class === undefined ? {} : { classes: flags.class }),
    ...(flags.maxDetections === undefined
      ? {}
      : { maxDetections: positiveInteger("max_detections", flags.maxDetections) }),
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
  const outcome: Outcome = { images: [], errors: [], signal: null };
  const { images, errors } = outcome;
  const { inOneLine } = await import("../../predict/outputs/result-formats.js");
  const stop = new AbortController();
  const handlers = (Object.keys(exitCodes) as StopSignal[]).map((name) => {
    const handler = (): void => {
      outcome.signal ??= name;
      stop.abort();
    };
    process.once(name, handler);
    return () => process.off(name, handler);
  });
  const onError = (error: Error, source: unknown): void => {
    errors.push({ file: String(source), message: error.message });
    console.warning(error.message);
  };
  try {
    for await (const { source, ...detected } of detector.predict(files, { ...options, onError, signal: stop.signal })) {
      const image = { file: String(source), ...detected };
      await output.add(image, detector.classNames ?? []);
      images.push(image);
      const found = inOneLine(image.detections).split(", ").map(unbroken).join(", ");
      console.sentence(`${image.file}: ${found}`, 4);
      console.live(`${images.length + errors.length}/${counted(files.length, "image")}`);
    }
  } catch (error) {
    if (outcome.signal === null || !stop.signal.aborted || error !== stop.signal.reason) throw error;
  } finally {
    for (const remove of handlers) remove();
  }
  return outcome;
}

function conclude(
  console: Console,
  { images, errors, signal, all }: Outcome & { all: number },
  folder: string | null,
): void {
  const objects = images.reduce((sum, { detections }) => sum + detections.length, 0);
  const where = folder === null ? "" : `, written to ${shownPath(folder)}`;
  console.result(`${counted(objects, "object")} in ${counted(images.length, "image")}${where}`);
  if (errors.length > 0) console.error(`${counted(errors.length, "image")} of ${all} could not be read`);
  if (signal !== null) console.error(`stopped after ${images.length + errors.length} of ${counted(all, "image")}`);
}
