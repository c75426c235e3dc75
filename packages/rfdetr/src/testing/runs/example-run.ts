// Folders of runs as a training writes them, made without training.
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Precision } from "@rfdetr/amp";
import type { ModuleRecord } from "@rfdetr/amp/records";
import type { MonitorRecord, StepRecord } from "../../run/files/numerics/numerics-records.js";
import { Rng } from "../../support/random.js";
import { headerRecord, monitorRecord, stepRecord } from "./numerics-records.js";

/** What an example run looks like. */
export interface ExampleRun {
  steps?: number;
  /** Steps of an epoch. */
  epochSteps?: number;
  /** Steps between watched ones; 0 for none. */
  watchedEvery?: number;
  /** Blocks of the backbone; 12 as in nano. */
  layers?: number;
  precision?: Precision;
  /** A module whose outputs double every so many steps. */
  growing?: { path: string; everySteps: number } | null;
  classes?: string[];
  /** The machines of its processes; the last of them is slow. Missing for a run of one process. */
  hosts?: readonly string[];
  /** The folder of the data. */
  data?: string;
  /** The content of evaluation.json. */
  evaluation?: object;
  /** The content of summary.json; null for a run without one. */
  summary?: Record<string, unknown> | null;
  settings?: Record<string, unknown>;
  seed?: number;
}

/** The modules in which operators run, as those of a detector are named. */
function modulePaths(layers: number): string[] {
  const block = ["norm1", "attention.attention.query", "attention.attention.key", "attention.attention.value"];
  const rest = ["attention.output.dense", "layer_scale1", "norm2", "mlp.fc1", "mlp", "mlp.fc2", "layer_scale2"];
  const backbone = Array.from({ length: layers }, (_, i) =>
    [...block, ...rest].map((name) => `backbone.0.encoder.encoder.encoder.layer.${i}.${name}`),
  ).flat();
  const decoder = [0, 1].flatMap((i) =>
    ["self_attn", "norm1", "cross_attn.value_proj", "cross_attn", "norm2", "linear1", "linear2", "norm3"].map(
      (name) => `transformer.decoder.layers.${i}.${name}`,
    ),
  );
  return [
    "backbone.0.encoder.encoder.embeddings",
    ...backbone,
    ...["cv1.conv", "cv1.bn", "m.0.cv1", "m.0.cv2", "cv2"].map((name) => `backbone.0.projector.stages.0.0.${name}`),
    "transformer.query_selection",
    ...decoder,
    "class_embed",
    "bbox_embed",
    "(model)",
  ];
}

/** The exponents of values that lie around one, below a largest one. */
function exponents(top: number, width: number): { first: number; counts: number[] } {
  const first = Math.floor(top) - width;
  const counts = Array.from({ length: width + 1 }, (_, i) => {
    const place = (i - 0.72 * width) / (0.17 * width);
    return Math.max(i === width ? 1 : 0, Math.round(12_000 * Math.exp(-0.5 * place * place)));
  });
  return { first, counts };
}

/** Writes an example run into a folder that does not exist yet. */
export function writeExampleRun(folder: string, options: ExampleRun = {}): void {
  const { steps = 200, epochSteps = 50, layers = 2, precision = "16-mixed", seed = 1, data } = options;
  const classes = options.classes ?? ["cat", "dog"];
  const rng = new Rng(seed);
  const random = (): number => rng.next();
  mkdirSync(folder, { recursive: true });
  const split = { images: 80, objects: 210 };
  const config = {
    started: "2026-01-02T03:04:05.000Z",
    settings: { model: "tiny", epochs: Math.ceil(steps / epochSteps), lr: 1e-4, ...options.settings },
    seed,
    class_names: classes,
    precision,
    reason: "it was asked for",
    hardware: "2 × example, 8 GiB",
    ...(data === undefined ? {} : { data: { path: data, relative: "data", train: split, valid: split } }),
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeMetrics(folder, steps, epochSteps, random);
  writeNumerics(folder, { watchedEvery: 20, growing: null, ...options, steps, epochSteps, precision, layers }, random);
  if (options.evaluation !== undefined)
    writeFileSync(join(folder, "evaluation.json"), JSON.stringify(options.evaluation));
  if (options.summary === null) return;
  const summary = {
    AP: 0.4,
    AP50: 0.6,
    precision,
    reason: "",
    epochs: config.settings.epochs,
    steps,
    skipped_steps: 0,
    bad_images: 0,
    train_seconds: 60,
    peak_rss_bytes: 1e9,
    stop_reason: "finished",
    best_epoch: 1,
    error: null,
    started: null,
    ...options.summary,
  };
  writeFileSync(join(folder, "summary.json"), JSON.stringify(summary));
}

function writeMetrics(folder: string, steps: number, epochSteps: number, random: () => number): void {
  const lines = [
    "epoch,step,lr,train/loss,train/loss_ce,train/loss_bbox,train/loss_giou,val/AP,val/AP50,skipped_steps",
  ];
  for (let epoch = 1; epoch * epochSteps <= steps; epoch++) {
    const left = Math.exp((-3 * epoch * epochSteps) / steps);
    const ap = 0.55 * (1 - left) + 0.02 * random();
    const loss = 4 + 9 * left + 0.3 * random();
    const figures = [1e-4, loss, 0.1 * loss, 0.05 * loss, 0.08 * loss, ap, Math.min(1, 1.5 * ap), 0];
    lines.push([epoch, epoch * epochSteps, ...figures.map((figure) => figure.toPrecision(6))].join(","));
  }
  writeFileSync(join(folder, "metrics.csv"), `${lines.join("\n")}\n`);
}

type Numerics = Required<Pick<ExampleRun, "steps" | "epochSteps" | "watchedEvery" | "layers" | "precision">> &
  Pick<ExampleRun, "growing" | "hosts">;

function writeNumerics(folder: string, options: Numerics, random: () => number): void {
  const { steps, epochSteps, watchedEvery, layers, precision, hosts } = options;
  const path = join(folder, "numerics.jsonl");
  const header = headerRecord({ precision, reason: "", monitor_interval: watchedEvery });
  const places = modulePaths(layers).map((name) => ({
    name,
    top: 2 + 7 * random(),
    width: 22 + Math.floor(14 * random()),
  }));
  let text = `${JSON.stringify(header)}\n`;
  if (hosts !== undefined) text += `${JSON.stringify({ v: 1, kind: "group", step: 1, hosts })}\n`;
  for (let step = 1; step <= steps; step++) {
    const line = stepLine(step, steps, epochSteps, precision, random);
    text += `${JSON.stringify(hosts === undefined ? line : { ...line, ...ranksOf(hosts.length, random) })}\n`;
    if (watchedEvery > 0 && (step === 1 || step % watchedEvery === 0))
      text += `${JSON.stringify(monitorLine(step, places, options, random))}\n`;
    if (text.length < 1 << 22) continue;
    appendFileSync(path, text);
    text = "";
  }
  appendFileSync(path, text);
}

function stepLine(
  step: number,
  steps: number,
  epochSteps: number,
  precision: Precision,
  random: () => number,
): StepRecord {
  const loss = 4 + 12 * Math.exp((-4 * step) / steps) + random();
  const record = stepRecord(step, {
    epoch: Math.ceil(step / epochSteps),
    precision,
    scale: precision === "16-mixed" ? 65536 : 1,
    loss,
    grad_norm: 1 + 4 * random(),
    seconds: 0.2 + 0.02 * random(),
    progress: {
      step_in_epoch: 1 + ((step - 1) % epochSteps),
      steps_per_epoch: epochSteps,
      planned_epochs: Math.ceil(steps / epochSteps),
      total_steps: steps,
      skipped_steps: 0,
      images_per_second: 20,
      seconds_left: 0.2 * (steps - step),
    },
  });
  return { ...record, memory: { ...record.memory, peak_bytes: 4e7 + 1e6 * random() } };
}

/**
 * What processes do in a step: the last waits 80 ms for its images, and the others for it. Their gradients point in
 * directions of 64 dimensions that differ by a noise of scale 48 images, at 4 images each.
 */
function ranksOf(size: number, random: () => number): object {
  const dimensions = 64;
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const gradients = Array.from({ length: size }, () =>
    Array.from({ length: dimensions }, () => (1 + Math.sqrt(48 / 4) * normal()) / Math.sqrt(dimensions) / size),
  );
  const sum = gradients[0].map((_, i) => gradients.reduce((all, gradient) => all + gradient[i], 0));
  const load = gradients.map((_, rank) => (rank === size - 1 ? 0.08 : 0.002) + 0.004 * random());
  const work = load.map((seconds) => seconds + 0.16 + 0.01 * random());
  const exchange = 0.012 + 0.002 * random();
  return {
    grad_norm: Math.hypot(...sum),
    ranks: {
      images: gradients.map(() => 4),
      work,
      load,
      wait: work.map((seconds) => Math.max(...work) - seconds + exchange),
      grad_norm: gradients.map((gradient) => Math.hypot(...gradient)),
    },
  };
}

function monitorLine(
  step: number,
  places: readonly { name: string; top: number; width: number }[],
  { watchedEvery, precision, growing }: Numerics,
  random: () => number,
): MonitorRecord {
  const dtype = precision === "16-mixed" ? "float16" : precision === "bf16-mixed" ? "bfloat16" : "float32";
  const side = (shift: number, grows: boolean): ModuleRecord[] =>
    places.map(({ name, top, width }, i) => {
      const isGrowing = grows && growing?.path === name;
      const growth = isGrowing && growing ? step / growing.everySteps : 0.4 * random() + Math.sin(step / 900 + i) * 0.4;
      const bits = Math.min(15.97, (isGrowing ? 4 : top) + shift + growth);
      const shares = { non_finite: 0, fp16_flush: 0.001, fp16_subnormal: 0.02, fp16_saturate: 0, bf16_flush: 0 };
      return {
        path: name,
        dtype,
        amax: 2 ** bits,
        ...shares,
        exponents: exponents(bits, width),
        largest: { value: 2 ** bits, dtype, index: [0, 12, 3], image: 0 },
      };
    });
  const left = growing ? growing.everySteps * 12 - step : 0;
  const forecast = growing && step > 4 * watchedEvery && left > 0 && left < 3 * step;
  return monitorRecord(step, {
    precision,
    scale: precision === "16-mixed" ? 65536 : 1,
    forward: side(0, true),
    gradient: side(-3, false),
    images: ["valid/1.jpg"],
    forecasts: forecast
      ? [
          {
            path: growing.path,
            side: "forward",
            dtype,
            headroom: left / growing.everySteps,
            bits_per_step: 1 / growing.everySteps,
            steps: left,
            watched_steps: left / watchedEvery,
            basis: { first: step - 7 * watchedEvery, records: 8, r2: 0.99 },
          },
        ]
      : [],
  });
}
