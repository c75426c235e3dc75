// `rfdetr val`

import type { Command } from "commander";
import type { CocoSummary } from "../eval/coco/coco-summary.js";
import { UsageError } from "../support/errors.js";
import { fraction } from "../support/format.js";
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
      .option("--annotations <file>", "COCO annotation file for the results"),
  );
  withWeightsFlags(command).action(async (flags: ValFlags) => finish(await val(flags)));
}

async function val(flags: ValFlags): Promise<number> {
  const console = consoleOf(flags);
  if (flags.predictions !== undefined || flags.annotations !== undefined) {
    if (flags.predictions === undefined || flags.annotations === undefined)
      throw new UsageError("Expected --predictions and --annotations together but received one of them");
    const { evaluateFiles } = await import("../eval/coco/coco-files.js");
    const { stockFigures } = await import("../eval/coco/coco-summary.js");
    const summary = evaluateFiles(flags.annotations, flags.predictions);
    // Files against files are what pycocotools scores: the JSON has its −1.
    if (console.json) console.data({ ...stockFigures(summary), precision: null });
    else report(console, summary, null);
    return exit.done;
  }
  if (flags.weights === undefined || flags.data === undefined)
    throw new UsageError("Expected --weights and --data, or --predictions and --annotations");
  const split = oneOf("split", flags.split, ["train", "valid", "test"]);
  const precision = oneOf("precision", flags.precision, precisions);
  const batch = positiveInteger("batch", flags.batch);
  const { evaluateWeights } = await import("../eval/evaluate-weights.js");
  const { resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../support/device.js");
  const { note } = resolvePrecision(precision, resolveDevice(flags.device));
  if (note !== null) console.fact(note);
  let leftOut = 0;
  const result = await evaluateWeights(await weightsPath(console, flags.weights), {
    data: flags.data,
    split,
    batch,
    precision,
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
  report(console, result.summary, result.precision);
  return leftOut > 0 ? exit.partial : exit.done;
}

/** Prints the overall figures and those of each class, as JSON or as tables. */
function report(console: Console, summary: CocoSummary, precision: string | null): void {
  if (console.json) {
    console.data({ ...summary, precision });
    return;
  }
  const figures = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100"] as const;
  console.table(figures, [figures.map((name) => fraction(summary[name]))], ["AR1", "AR10", "AR100"]);
  console.result();
  const rows = summary.per_class.map((entry) => [
    entry.class_name,
    String(entry.instances),
    fraction(entry.AP),
    fraction(entry.AP50),
    fraction(entry.AP75),
    fraction(entry.AR),
  ]);
  console.table(["class", "objects", "AP", "AP50", "AP75", "AR"], rows, ["AR", "AP75", "objects"]);
  console.result();
  console.result(
    `${summary.images} images, ${summary.instances} objects, ${summary.detections} detections${precision === null ? "" : `, ${precision}`}`,
  );
}
