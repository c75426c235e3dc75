// The kinds of `rfdetr bench`: each measures, and prints its figures.
import { formatBytes } from "@rfdetr/amp/text";
import type { OperatorBench } from "../../instruments/bench/bench-ops.js";
import type { OwnBenches } from "../../instruments/bench/own-process.js";
import { memoryUses } from "../../model/types.js";
import { checkSetting } from "../../settings/resolve.js";
import { expected, UsageError } from "../../support/errors.js";
import { shapeInWords } from "../../support/shape.js";
import type { Spread } from "../../support/statistics.js";
import type { Console } from "../console/console.js";
import { consoleOf, type OutputFlags, oneOf, positiveInteger, precisions, showMachine } from "../context.js";
import { cleanedUp } from "../signals.js";
import { type AgainstFlags, against, refuseWithoutAgainst, usualRounds } from "./bench-against.js";

/** Values of `--optimizer-state`. */
export const optimizerStates = ["float32", "8bit"] as const;

/** A number of the command line before it is checked. */
export type Given = number | string;

interface MachineFlags extends OutputFlags {
  device: string;
  steps: Given;
}
interface ModelFlags extends MachineFlags {
  model: string;
  precision: string[];
}
interface BenchInferFlags extends ModelFlags, AgainstFlags {
  warmup: Given;
  batch: Given;
}
interface BenchTrainFlags extends ModelFlags, AgainstFlags {
  warmup: Given;
  batch: Given;
  resolution?: Given;
  queries?: Given;
  boxes?: Given;
  checkpointing?: boolean;
  memory: string;
  optimizerState: string;
}
interface BenchEvalFlags extends OutputFlags {
  images: Given;
  detections: Given;
  classes: Given;
  truths: Given;
}
interface BenchLoadFlags extends ModelFlags {
  batch: Given;
  data?: string;
  size: string;
  images: Given;
  workers: Given[];
}

async function resolved(console: Console, flags: ModelFlags | MachineFlags) {
  const asked = "precision" in flags ? flags.precision.map((name) => oneOf("precision", name, precisions)) : [];
  const steps = positiveInteger("steps", flags.steps);
  const { resolvePrecision } = await import("@rfdetr/amp");
  const { resolveDevice } = await import("../../support/machine/device.js");
  const device = resolveDevice(flags.device);
  await showMachine(console);
  return { device, steps, precisions: asked.map((name) => resolvePrecision(name, device).precision) };
}

const optional = (name: string, value: Given | undefined): number | undefined =>
  value === undefined ? undefined : positiveInteger(name, value);

/** Processes of each precision: several where precisions are compared. @throws UsageError */
function roundsOf({ rounds }: AgainstFlags, list: readonly string[]): number {
  if (rounds === undefined) return list.length > 1 ? usualRounds : 1;
  return positiveInteger("rounds", rounds);
}

const inRounds = (rounds: number): string => (rounds === 1 ? "" : `, medians of ${rounds} processes`);

/** Measures each in processes of its own, which end with this one. */
async function inTurns<K extends keyof OwnBenches>(
  console: Console,
  kind: K,
  list: readonly OwnBenches[K]["options"][],
  rounds: number,
): Promise<OwnBenches[K]["result"][][]> {
  const { inTurns } = await import("../../instruments/bench/own-process.js");
  const stop = new AbortController();
  const progress = (at: number, round: number): void =>
    console.live(`measuring ${list[at].precision}${rounds === 1 ? "" : `, process ${round} of ${rounds}`}`);
  const { signal } = stop;
  const measured = await cleanedUp(
    () => stop.abort(),
    () => inTurns(kind, list, { rounds, progress, signal }),
  );
  console.end();
  return measured;
}

/** Training steps on random images. */
export async function train(flags: BenchTrainFlags): Promise<void> {
  const batch = positiveInteger("batch", flags.batch);
  const warmup = positiveInteger("warmup", flags.warmup);
  const memoryUse = oneOf("memory", flags.memory, memoryUses);
  const optimizerState = oneOf("optimizer-state", flags.optimizerState, optimizerStates);
  const [resolution, queries] = [optional("resolution", flags.resolution), optional("queries", flags.queries)];
  const boxes = flags.boxes === undefined ? undefined : countOrZero("boxes", flags.boxes);
  if (flags.against !== undefined)
    return against("train", flags, { batch, resolution, queries, boxes, checkpointing: flags.checkpointing });
  refuseWithoutAgainst(flags);
  const console = consoleOf(flags);
  const { precisions: list, ...common } = await resolved(console, flags);
  const rounds = roundsOf(flags, list);
  const { model, checkpointing } = flags;
  const shape = { model, batch, resolution, queries, boxes, checkpointing, memory: memoryUse, optimizerState };
  const asked = list.map((precision) => ({ ...common, ...shape, warmup, precision }));
  const measured = await inTurns(console, "train", asked, rounds);
  const { joinTrainRounds } = await import("../../instruments/bench/bench-train.js");
  for (const result of measured.map(joinTrainRounds)) {
    if (console.json) console.data({ ...result, ...(rounds > 1 && { rounds }) });
    const { seconds } = result;
    const title = console.bold(`${result.model} training, ${result.precision}`);
    const size = `${shapeInWords(result.resolution)} px on ${result.device}`;
    console.sentence(`${title}: batch ${result.batch} at ${size}${inRounds(rounds)}`);
    const parts = ["step", "forward", "loss", "backward", "optimizer"] as const;
    console.table(
      ["", ...parts],
      (["median", "min"] as const).map((kind) => [
        `${kind} ms`,
        ...parts.map((part) => (seconds[part][kind] * 1000).toFixed(1)),
      ]),
    );
    const [reached, peak] = [result.flops_per_step / seconds.step.median, result.peak_flops].map((flops) =>
      (flops / 1e9).toFixed(0),
    );
    const [tensors, memory] = [result.peak_tensor_bytes, result.peak_rss_bytes].map(formatBytes);
    const share = (100 * result.mfu).toFixed(0);
    console.sentence(`${reached} of ${peak} GFLOP/s (${share} %), peak tensors ${tensors}, peak memory ${memory}`);
  }
}

/** The forward pass, and prediction. */
export async function infer(flags: BenchInferFlags): Promise<void> {
  const warmup = positiveInteger("warmup", flags.warmup);
  const batch = positiveInteger("batch", flags.batch);
  if (flags.against !== undefined) return against("infer", flags, { batch });
  refuseWithoutAgainst(flags);
  const console = consoleOf(flags);
  const { precisions: list, device, steps: iterations } = await resolved(console, flags);
  const rounds = roundsOf(flags, list);
  const asked = list.map((precision) => ({ model: flags.model, precision, device, batch, iterations, warmup }));
  const measured = await inTurns(console, "infer", asked, rounds);
  const { joinInferRounds } = await import("../../instruments/bench/bench-infer.js");
  for (const result of measured.map(joinInferRounds)) {
    if (console.json) console.data({ ...result, ...(rounds > 1 && { rounds }) });
    const { forward, predict } = result.milliseconds;
    const shown = ({ median, min }: Spread) => `${median.toFixed(1)} ms (min ${min.toFixed(1)})`;
    const rate = batch === 1 ? "" : ` for ${batch} images, ${result.images_per_second.toFixed(1)} images/s`;
    const title = `${console.bold(`${result.model} inference, ${result.precision}`)}${inRounds(rounds)}`;
    const memory = formatBytes(result.peak_rss_bytes);
    console.sentence(`${title}: forward ${shown(forward)}${rate}, predict ${shown(predict)}, peak memory ${memory}`);
  }
}

/** A row of the table of operators. @internal for tests */
export const operatorCells = ({ op, dtype, milliseconds: { median, min }, gflops }: OperatorBench): string[] => [
  ...[op, dtype, median.toFixed(2), min.toFixed(2)],
  gflops === null ? "" : gflops.toFixed(0),
];

/** Single operators. */
export async function ops(flags: MachineFlags): Promise<void> {
  const console = consoleOf(flags);
  const { device, steps } = await resolved(console, flags);
  const { benchOps } = await import("../../instruments/bench/bench-ops.js");
  const rows = benchOps(device, steps);
  if (console.json) console.data({ device, ops: rows });
  console.table(["operator", "type", "ms", "min ms", "GFLOP/s at min"], rows.map(operatorCells));
}

/** COCO metrics of synthetic detections. */
export async function evaluate(flags: BenchEvalFlags): Promise<void> {
  const load = {
    images: positiveInteger("images", flags.images),
    detections: positiveInteger("detections", flags.detections),
    classes: positiveInteger("classes", flags.classes),
    truths: positiveInteger("truths", flags.truths),
  };
  const console = consoleOf(flags);
  await showMachine(console);
  const { benchEval } = await import("../../instruments/bench/bench-eval.js");
  const result = benchEval(load);
  if (console.json) console.data(result);
  const { images, detections, classes, seconds } = result;
  const times = `reading ${seconds.load.toFixed(2)} s, figures ${seconds.evaluate.toFixed(2)} s`;
  console.sentence(
    `${console.bold("COCO metrics")} of ${images} images × ${detections} detections, ${classes} classes:`,
  );
  console.sentence(`${times}, peak memory ${formatBytes(result.peak_rss_bytes)}`);
}

/** Data loading, alone and beside training. */
export async function load(flags: BenchLoadFlags): Promise<void> {
  const batch = positiveInteger("batch", flags.batch);
  const images = positiveInteger("images", flags.images);
  const workers = flags.workers.map((value) => checkSetting("num_workers", value, "workers") as number);
  const source = flags.data ?? pixels(flags.size);
  const console = consoleOf(flags);
  const { precisions: list, device, steps } = await resolved(console, flags);
  for (const precision of list) {
    const asked = { model: flags.model, batch, precision, device, steps, workers, images, source };
    const [[result]] = await inTurns(console, "load", [asked], 1);
    if (console.json) console.data(result);
    const { pictures, preparation, training } = result;
    console.sentence(
      pictures === null
        ? console.bold(`images of ${flags.data}`)
        : `${console.bold(`JPEGs of ${pictures.width} × ${pictures.height} pixels`)}, ${formatBytes(pictures.bytes)} each`,
    );
    const parts = ["decode", "resize", "augment"] as const;
    console.sentence(
      `one image on one thread: ${parts.map((part) => `${part} ${preparation[part].median.toFixed(1)} ms`).join(", ")}`,
    );
    console.table(
      ["loader threads", "images/s"],
      result.throughput.map((row) => [String(row.workers), row.images_per_second.toFixed(1)]),
    );
    const { step_alone, step, wait } = training.seconds;
    const ms = (seconds: number) => `${(seconds * 1000).toFixed(1)} ms`;
    const [waiting, slower] = [training.wait_share, training.slowdown].map((share) => `${(100 * share).toFixed(1)} %`);
    console.sentence(
      `${console.bold(`${result.model} training, ${precision}`)}: batch ${batch}, ${training.workers} loader threads`,
    );
    console.sentence(`a step takes ${ms(step.median)} while images load, ${ms(step_alone.median)} alone`);
    console.sentence(
      `it waits ${ms(wait.median)} for images, ${waiting} of the time; with the wait it is ${slower} slower than alone`,
    );
  }
}

/** The largest width and height of a JPEG. */
const mostPixels = 65535;

/** @throws UsageError unless the text is `WIDTHxHEIGHT` in pixels */
function pixels(size: string): { width: number; height: number } {
  const [, width, height] = /^(\d{2,})[x×](\d{2,})$/.exec(size) ?? [];
  if (width === undefined) throw new UsageError(expected("width and height such as 4000x3000", "size", size));
  if (Math.max(Number(width), Number(height)) > mostPixels)
    throw new UsageError(expected(`width and height of at most ${mostPixels}`, "size", size));
  return { width: Number(width), height: Number(height) };
}

function countOrZero(name: string, value: Given): number {
  return value === 0 ? 0 : positiveInteger(name, value);
}
