// `rfdetr val`

import type { Command } from "commander";
import type { CocoEvaluator } from "../eval/coco/coco.js";
import type { EvaluationDetails } from "../eval/details/evaluation-details.js";
import { UsageError } from "../support/errors.js";
import { counted } from "../support/format.js";
import type { Console } from "./console.js";
import {
  consoleOf,
  exit,
  numeric,
  type OutputFlags,
  oneOf,
  positiveInteger,
  precisions,
  reading,
  type WeightsFlags,
  weightsPath,
  withOutputFlags,
  withWeightsFlags,
} from "./context.js";
import type { EvaluationFolder } from "./evaluation-folder.js";

interface ValFlags extends OutputFlags, WeightsFlags {
  weights?: string;
  data?: string;
  split: string;
  precision: string;
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
      .option("--weights <file>", "trained weights: a file, a run folder, or the name of published ones such as nano")
      .option("--data <dir>", "dataset")
      .option("--split <name>", "train, valid or test", "valid")
      .option("--batch <n>", "images per batch", numeric, 4)
      .option("--precision <p>", "auto, 32-true, tf32, bf16-mixed or 16-mixed", "auto")
      .option("--device <d>", "auto, cpu or cuda:N", "auto")
      .option("--no-antialias", "resize as RFDETR.predict of the Python package does, not as its evaluation does")
      .option("--no-auto-orient", "leave images as they are stored, whatever their EXIF tag says")
      .option("--predictions <file>", "COCO results file to evaluate instead of weights")
      .option("--annotations <file>", "COCO annotation file for the results")
      .option(
        "--out <dir>",
        "new folder for evaluation.json (figures, curves, errors and what they cost) and pictures",
      ),
  );
  withWeightsFlags(command).action(async (flags: ValFlags) => finish(await val(flags)));
}

async function val(flags: ValFlags): Promise<number> {
  const console = consoleOf(flags);
  const results = flags.predictions !== undefined || flags.annotations !== undefined;
  if (results && (flags.predictions === undefined || flags.annotations === undefined))
    throw new UsageError("Expected --predictions and --annotations together but received one of them");
  if (!results && (flags.weights === undefined || flags.data === undefined))
    throw new UsageError("Expected --weights and --data, or --predictions and --annotations");
  const folder = flags.out === undefined ? null : await openFolder(flags.out);
  try {
    const { evaluator, details, leftOut } = results ? await valFiles(flags) : await valWeights(console, flags);
    const { evaluationJson, printEvaluation } = await import("./val-report.js");
    const summary = evaluator.summarize();
    // Files against files are what pycocotools scores: the JSON has its −1.
    if (console.json) console.data(evaluationJson(summary, details, results));
    else printEvaluation(console, summary, details);
    if (folder !== null) {
      console.live("drawing pictures");
      const pictures = await folder.write(details, flags.autoOrient);
      console.end();
      console.result(`evaluation.json and ${counted(pictures, "picture")} are in ${folder.path}`);
    }
    return leftOut > 0 ? exit.partial : exit.done;
  } finally {
    folder?.giveUp();
  }
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

async function valFiles({ annotations = "", predictions = "" }: ValFlags): Promise<Evaluated> {
  const { loadFiles } = await import("../eval/coco/coco-files.js");
  const { evaluationDetails } = await import("../eval/details/describe-evaluation.js");
  const { withImagePaths } = await import("./evaluation-folder.js");
  const evaluator = loadFiles(annotations, predictions);
  const details = evaluationDetails(evaluator, { data: annotations, results: predictions });
  return { evaluator, details: withImagePaths(details, annotations), leftOut: 0 };
}

async function valWeights(console: Console, flags: ValFlags): Promise<Evaluated> {
  const { weights = "", data = "" } = flags;
  const split = oneOf("split", flags.split, ["train", "valid", "test"]);
  const precision = oneOf("precision", flags.precision, precisions);
  const batch = positiveInteger("batch", flags.batch);
  const { evaluateWeights } = await import("../eval/evaluate-weights.js");
  const { evaluationDetails } = await import("../eval/details/describe-evaluation.js");
  const { resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../support/device.js");
  const { note } = resolvePrecision(precision, resolveDevice(flags.device));
  if (note !== null) console.fact(note);
  let leftOut = 0;
  const file = await weightsPath(console, weights);
  const result = await evaluateWeights(file, {
    ...{ data, split, batch, precision },
    antialias: flags.antialias,
    autoOrient: flags.autoOrient,
    device: flags.device,
    onBadImage: (message) => {
      leftOut++;
      console.warning(message);
    },
    reading: reading(console, flags),
    progress: (done, total) => console.live(`evaluating ${done}/${total}`),
  });
  console.end();
  const { evaluator } = result;
  const details = evaluationDetails(evaluator, { split, data, weights: file, precision: result.precision });
  return { evaluator, details, leftOut };
}
