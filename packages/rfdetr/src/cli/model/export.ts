// `rfdetr export`

import type { Precision } from "@rfdetr/amp";
import { formatBytes } from "@rfdetr/amp/text";
import type { Command } from "commander";
import type { ExportOptions, ExportResult } from "../../export/export-onnx.js";
import { exportPrecisions, refuseBfloat16 } from "../../export/export-precisions.js";
import type { ThreadOptions } from "../../export/export-thread.js";
import { driftText } from "../../export/precision/drift-text.js";
import { installRuntime } from "../../onnx/node-runtime.js";
import { counted, shownPath } from "../../support/format.js";
import { sidesOf } from "../../support/shape.js";
import { withValues } from "../completion/values.js";
import type { Console } from "../console/console.js";
import {
  consoleOf,
  exit,
  numeric,
  type OutputFlags,
  oneOf,
  positiveInteger,
  reading,
  shape,
  splits,
  type WeightsFlags,
  weightsPath,
  withOutputFlags,
  withWeightsFlags,
} from "../context.js";
import { cleanedUp } from "../signals.js";
import { predictField, proofFields } from "./proof-fields.js";

interface ExportFlags extends OutputFlags, WeightsFlags {
  weights: string;
  out?: string;
  precision: string;
  batch: number | string;
  resolution?: string;
  gridsample: boolean;
  data?: string;
  split: string;
  report: boolean;
}

/** Registers `rfdetr export`. */
export function addExport(program: Command, finish: (code: number) => void): void {
  const command = withOutputFlags(
    program
      .command("export")
      .description(
        "Write weights as an ONNX file and prove it: onnxruntime runs the file on your images, and its detections are held to those of the weights",
      )
      .requiredOption(
        "--weights <file>",
        "trained weights: a file, a run folder, or the name of published ones such as nano",
      )
      .option("--out <file>", "new .onnx file (default: beside the weights, with their name)")
      .option(
        "--precision <p>",
        "fp32; fp16, with float32 where training has it; or int8, calibrated on --data",
        "fp32",
      )
      .option("--batch <n>", "images in a batch, or dynamic for any number", numeric, 1)
      .option(
        "--resolution <hxw>",
        "height and width in pixels, as 384x640, or one side (default: that of the training)",
      )
      .option(
        "--no-gridsample",
        "sample by gathers, for runtimes that lack the operator GridSample or compute it wrongly",
      )
      .option("--data <dir>", "dataset whose images prove the file (default: drawn images)")
      .option("--split <name>", "train, valid or test", "valid")
      .option("--report", "measure every precision on the same images, and write the table beside the file", false),
  );
  withValues(command, { "--precision": exportPrecisions, "--split": splits });
  withWeightsFlags(command).action(async (flags: ExportFlags) => finish(await exportCommand(flags)));
}

async function exportCommand(flags: ExportFlags): Promise<number> {
  const console = consoleOf(flags);
  refuseBfloat16(flags.precision);
  const precision = oneOf("precision", flags.precision, exportPrecisions);
  const batch = flags.batch === "dynamic" ? "dynamic" : positiveInteger("batch", flags.batch);
  const resolution = flags.resolution === undefined ? undefined : sidesOf(shape("resolution", flags.resolution));
  const split = oneOf("split", flags.split, splits);
  const weights = await weightsPath(console, flags.weights);
  const { exportInThread } = await import("../../export/export-thread.js");
  const { abandonExport } = await import("../../export/export-folder.js");
  const { defaultOut } = await import("../../export/default-out.js");
  const out = flags.out ?? defaultOut(weights, { precision, gridSample: flags.gridsample });
  const { classNumbering, warn = (message) => console.warning(message) } = reading(console, flags);
  const options: ThreadOptions = {
    weights,
    precision,
    batch,
    split,
    out,
    classNumbering,
    gridSample: flags.gridsample,
    report: flags.report,
    ...(resolution === undefined ? {} : { resolution }),
    ...(flags.data === undefined ? {} : { data: flags.data }),
  };
  let leftOut = 0;
  const onBadImage = (message: string): void => {
    leftOut++;
    console.warning(message);
  };
  const result = await cleanedUp(
    () => abandonExport(out),
    () => exportInThread(options, { warn, onBadImage, progress: showProgress(console, flags.report) }),
  );
  console.end();
  show(console, result, flags, await predictedIn(weights));
  return leftOut > 0 ? exit.partial : exit.done;
}

/** @param isLong whether the export takes minutes, so that a log is told of it too */
function showProgress(console: Console, isLong: boolean): ExportOptions["progress"] {
  return (doing, done, total) => {
    const text = progressText(doing, done, total);
    if (isLong) console.doing(text, doing);
    else console.live(text);
  };
}

function progressText(...[doing, done, total]: Parameters<NonNullable<ExportOptions["progress"]>>): string {
  if (doing === "tracing") return "tracing the model";
  if (doing === "calibrating") return `calibrating ${done}/${total}`;
  if (doing === "comparing") return `comparing precisions ${done}/${total}`;
  return doing === "writing"
    ? `writing ${formatBytes(done)} of ${formatBytes(total)}`
    : `proving on image ${done}/${total}`;
}

/** What `predict` runs weights in by default. */
async function predictedIn(weights: string): Promise<Precision> {
  const { resolveTrained } = await import("../../weights/trained-precision.js");
  const { readTrainedPrecision } = await import("../../weights/weights.js");
  const { resolveDevice } = await import("../../support/machine/device.js");
  return resolveTrained("auto", readTrainedPrecision(weights), resolveDevice("auto")).precision;
}

/** @param predicted what `predict` runs the weights in by default */
function show(console: Console, result: ExportResult, { data, report }: ExportFlags, predicted: Precision): void {
  const { out, opset, precision, bytes, nodes, islands, proof, drift } = result;
  if (console.json)
    console.data({
      out,
      opset,
      precision,
      bytes,
      nodes,
      islands,
      images: proof?.images ?? 0,
      queries: proof?.queries ?? null,
      within: proof?.within ?? null,
      tolerance: proof?.tolerance ?? null,
      max_box_error_px: proof?.max_box_error_px ?? null,
      max_score_error: proof?.max_score_error ?? null,
      flips: proof?.flips ?? null,
      ...(proof?.min_mask_iou === undefined
        ? {}
        : { max_mask_logit_error: proof.max_mask_logit_error, min_mask_iou: proof.min_mask_iou }),
      AP: proof?.AP ?? null,
      ...(proof?.mask_AP === undefined ? {} : { mask_AP: proof.mask_AP }),
      ...(drift === null ? {} : { drift: { images: drift.images, threshold: drift.threshold, forms: drift.forms } }),
    });
  if (drift !== null) console.result(driftText(drift));
  console.result(`${shownPath(out)}: ${precision}, opset ${opset}, ${counted(nodes, "node")}, ${formatBytes(bytes)}`);
  for (const { module, why } of islands) console.warning(`${module || "the model"} is float32 in the file: ${why}`);
  if (proof === null) {
    const missing = `the file is not proved${report ? ", and there is no report" : ""}`;
    console.warning(`${missing}: run ${installRuntime}, delete the file and export again`);
    return;
  }
  const images = `${counted(proof.images, "image")} ${data === undefined ? "that were drawn: give your own with --data" : `of ${shownPath(data)}`}`;
  console.fields([
    ["proof", `onnxruntime against the weights in float32, on ${images}`],
    ...proofFields(proof),
    ...predictField(predicted),
  ]);
}
