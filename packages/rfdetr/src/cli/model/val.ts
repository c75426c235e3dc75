// `rfdetr val`

import type { NumberFormatName } from "@rfdetr/amp/names";
import type { Command } from "commander";
import type { CocoEvaluator } from "../../eval/coco/coco.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import type { ScoredSplitOptions } from "../../eval/scored-split.js";
import { isExported } from "../../onnx/exported-model.js";
import { UsageError } from "../../support/errors.js";
import { counted } from "../../support/format.js";
import { withValues } from "../completion/values.js";
import type { Console } from "../console/console.js";
import {
  consoleOf,
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
  reading,
  showNumberFormat,
  splits,
  type WeightsFlags,
  weightsPath,
  withOutputFlags,
  withWeightsFlags,
} from "../context.js";
import { cleanedUp } from "../signals.js";
import type { EvaluationFolder } from "./evaluation-folder.js";

interface ValFlags extends OutputFlags, WeightsFlags {
  weights?: string;
  data?: string;
  split: string;
  precision: string;
  numberFormat?: string;
  device: string;
  batch: number | string;
  antialias: boolean;
  autoOrient: boolean;
  predictions?: string;
  annotations?: string;
  out?: string;
}

/** Registers `rfdetr val`. */
export function addVal(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("val")
      .description("Evaluate trained weights on a dataset, or a COCO results file on its annotations")
      .option(
        "--weights <file>",
        "trained weights: a file, a run folder, the name of published ones such as nano, or an exported .onnx",
      )
      .option("--data <dir>", "dataset")
      .option("--split <name>", "train, valid or test", "valid")
      .option("--batch <n>", "images per batch", numeric, 4)
      .option("--precision <p>", precisionsInWords, "auto")
      .option("--number-format <name>", `${numberFormatHelp} (default: as in training)`)
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option("--no-antialias", "resize as RFDETR.predict of the Python package does, not as its evaluation does")
      .option("--no-auto-orient", "leave images as they are stored, whatever their EXIF tag says")
      .option("--predictions <file>", "COCO results file to evaluate instead of weights")
      .option("--annotations <file>", "COCO annotation file for the results")
      .option(
        "--out <dir>",
        "folder for evaluation.json (figures, curves, errors and what they cost) and pictures, without such yet",
      ),
  );
  withValues(command, {
    ...flagValues.precision,
    ...flagValues.numberFormat,
    ...flagValues.device,
    "--split": splits,
  });
  withWeightsFlags(command).action(async (flags: ValFlags) => finish(await val(flags)));
}

async function val(flags: ValFlags): Promise<number> {
  const console = consoleOf(flags);
  const results = flags.predictions !== undefined || flags.annotations !== undefined;
  if (results && (flags.predictions === undefined || flags.annotations === undefined))
    throw new UsageError("Expected --predictions and --annotations together but received one of them");
  const missing = (["weights", "data"] as const).filter((name) => flags[name] === undefined);
  if (!results && missing.length === 1)
    throw new UsageError(`Expected --weights and --data together but --${missing[0]} is missing`);
  if (!results && missing.length === 2)
    throw new UsageError("Expected --weights and --data, or --predictions and --annotations");
  let folder: EvaluationFolder | null = null;
  const evaluate = async (): Promise<number> => {
    if (flags.out !== undefined) folder = await openFolder(flags.out);
    const { evaluator, details, leftOut } = results ? await valFiles(console, flags) : await valWeights(console, flags);
    const { evaluationJson, printEvaluation } = await import("./val-report.js");
    const summary = evaluator.summarize();
    // Files against files are what pycocotools scores: the JSON has its −1.
    if (console.json) console.data(evaluationJson(summary, details, results));
    else printEvaluation(console, summary, details, results ? null : await nextOf(flags, details));
    if (folder !== null) {
      console.live("drawing pictures");
      const pictures = await folder.write(details, flags.autoOrient);
      console.end();
      console.result(`evaluation.json and ${counted(pictures, "picture")} are in ${folder.path}`);
    }
    return leftOut > 0 ? exit.partial : exit.done;
  };
  const close = (): void => folder?.close();
  return cleanedUp(close, () => evaluate().finally(close));
}

/**
 * The command that predicts with the weights at their best threshold. A test split chooses none: it takes the one that
 * the training recorded.
 */
async function nextOf({ weights = "", data = "", split }: ValFlags, details: EvaluationDetails): Promise<string> {
  const { weights: file } = details.origin;
  const { predictCommand } = await import("../console/next-command.js");
  const { mainDetails } = await import("../../eval/details/evaluation-details.js");
  if (split !== "test" || file === null)
    return predictCommand(weights, data, mainDetails(details).best_threshold, oneOf("split", split, splits));
  const { readRecordedThresholds } = await import("../../weights/weights.js");
  const recorded = isExported(file) ? null : readRecordedThresholds(file);
  return predictCommand(weights, data, recorded === null ? null : "best", split);
}

async function openFolder(path: string): Promise<EvaluationFolder> {
  const { EvaluationFolder: Folder } = await import("./evaluation-folder.js");
  return Folder.open(path);
}

interface Evaluated {
  evaluator: CocoEvaluator;
  details: EvaluationDetails;
  /** Images that did not decode. */
  leftOut: number;
}

async function valFiles(console: Console, { annotations = "", predictions = "" }: ValFlags): Promise<Evaluated> {
  const { loadFiles } = await import("../../eval/coco/coco-files.js");
  const { evaluationDetails } = await import("../../eval/details/describe-evaluation.js");
  const { withImagePaths } = await import("./evaluation-folder.js");
  const evaluator = loadFiles(annotations, predictions, { warn: (message) => console.fact(message) });
  const details = evaluationDetails(evaluator, { data: annotations, results: predictions });
  return { evaluator, details: withImagePaths(details, annotations), leftOut: 0 };
}

async function valWeights(console: Console, flags: ValFlags): Promise<Evaluated> {
  const { weights = "", data = "" } = flags;
  const split = oneOf("split", flags.split, splits);
  const precision = oneOf("precision", flags.precision, precisions);
  const batch = positiveInteger("batch", flags.batch);
  const { evaluationDetails } = await import("../../eval/details/describe-evaluation.js");
  let leftOut = 0;
  const file = await weightsPath(console, weights);
  const asked = {
    data,
    split,
    batch,
    antialias: flags.antialias,
    autoOrient: flags.autoOrient,
    onBadImage: (message: string) => {
      leftOut++;
      console.warning(message);
    },
    progress: (done: number, total: number) => console.live(`evaluating ${done}/${total}`),
  };
  const { evaluator, precision: used } = isExported(file)
    ? await valExported(console, file, asked, { precision, ...numberFormatOf(flags) })
    : await valOwn(console, file, asked, precision, flags);
  console.end();
  const details = evaluationDetails(evaluator, { split, data, weights: file, precision: used });
  return { evaluator, details, leftOut };
}

async function valOwn(
  console: Console,
  file: string,
  asked: ScoredSplitOptions,
  precision: (typeof precisions)[number],
  flags: ValFlags,
): Promise<{ evaluator: CocoEvaluator; precision: string }> {
  const { evaluateWeights } = await import("../../eval/evaluate-weights.js");
  const { resolveTrained } = await import("../../weights/trained-precision.js");
  const { readTrainedPrecision } = await import("../../weights/weights.js");
  const { resolveDevice } = await import("../../support/machine/device.js");
  const trained = readTrainedPrecision(file);
  const { note } = resolveTrained(precision, trained, resolveDevice(flags.device));
  if (note !== null) console.fact(note);
  const { numberFormat = trained.numberFormat } = numberFormatOf(flags);
  showNumberFormat(console, numberFormat);
  return evaluateWeights(file, {
    ...asked,
    precision,
    device: flags.device,
    reading: reading(console, flags),
    numberFormat,
  });
}

/** With onnxruntime-node, without libtorch. */
async function valExported(
  console: Console,
  file: string,
  asked: ScoredSplitOptions,
  { precision, numberFormat = null }: { precision: string; numberFormat?: NumberFormatName | null },
): Promise<{ evaluator: CocoEvaluator; precision: string }> {
  if (precision !== "auto")
    throw new UsageError(`Expected auto for precision but received ${precision}: ${file} has that of its export`);
  if (numberFormat !== null)
    throw new UsageError(
      `Expected no --number-format for ${file} but received ${numberFormat}: an exported file computes as it was exported`,
    );
  const { evaluateOnnx } = await import("../../onnx/evaluate-onnx.js");
  return evaluateOnnx(file, { ...asked, warn: (message) => console.warning(message) });
}
