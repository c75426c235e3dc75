// The folder of a small run with every file that a report reads, for tests of what reads it.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Precision } from "@rfdetr/amp";
import { type ModuleRecord, recordLine } from "@rfdetr/amp/records";
import { exampleDetails } from "./example-details.js";
import { headerRecord, moduleRecord, monitorRecord, overflowReport, stepRecord } from "./numerics-records.js";

const module = (path: string, dtype: string, amax: number, first: number): ModuleRecord =>
  moduleRecord(path, amax, {
    dtype,
    fp16_flush: 0.02,
    fp16_subnormal: 0.1,
    exponents: { first, counts: [1, 40, 200, 40, 3] },
    largest: { value: amax, dtype, index: [0], image: null },
  });

/** How an example differs from a run of four epochs in 16-mixed that ended well. */
export interface ReportRun {
  classNames?: readonly [string, string];
  /** The path of a module and of its weight. */
  module?: string;
  settings?: Record<string, unknown>;
  /** Null leaves the file out, as a run does that was killed. */
  summary?: Record<string, unknown> | null;
  /** Steps of the run, forty if absent; the first two and the thirtieth are skipped. */
  steps?: number;
  precision?: Precision;
  /** Images of the validation split, with two objects each; three if absent. */
  validImages?: number;
  /** The seed, 11 if absent. */
  seed?: number;
  /** AP of the third epoch, 0.4 if absent. */
  AP?: number;
}

/** Writes the run into a folder that is made for it. @returns the folder */
export function reportRun(folder: string, example: ReportRun = {}): string {
  const { classNames = ["bird", "plane"], steps = 40, precision = "16-mixed" } = example;
  mkdirSync(join(folder, "pictures"), { recursive: true });
  const put = (name: string, content: unknown): void =>
    writeFileSync(join(folder, name), typeof content === "string" ? content : `${JSON.stringify(content)}\n`);
  put("config.json", {
    started: "2026-02-03T04:05:06.000Z",
    settings: {
      dataset_dir: "birds",
      model: "tiny",
      weights: null,
      lr: 0.001,
      precision,
      epochs: 4,
      ...example.settings,
    },
    seed: example.seed ?? 11,
    class_names: classNames,
    model_config: { variant: "tiny", resolution: 96, numQueries: 30 },
    precision,
    reason: "measured here: as fast, in half of the memory",
    hardware: "2 × Processor, 8 GiB",
    versions: { rfdetr: "0.1.0", node: "v20.19.0", libtorch: "2.15.0" },
    data: { path: "/data/birds", relative: "../birds", train: split(30), valid: split(example.validImages ?? 3) },
  });
  if (example.summary !== null)
    put("summary.json", {
      AP: example.AP ?? 0.4,
      AP50: 0.625,
      precision,
      reason: "measured here",
      epochs: 4,
      steps,
      skipped_steps: 3,
      train_seconds: 75,
      peak_rss_bytes: 5e8,
      stop_reason: "finished",
      best_epoch: 3,
      ...example.summary,
    });
  put("metrics.csv", metrics(steps, example.AP ?? 0.4));
  put("evaluation.json", exampleDetails(classNames));
  put("numerics.jsonl", numerics(steps, example.module ?? "decoder.layers.0", precision));
  put("pictures/labels.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>');
  put("pictures/pictures.json", [
    { file: "labels.svg", kind: "labels", title: "Labels", alt: "Where the boxes are.", width: 8, height: 8 },
  ]);
  return folder;
}

const split = (images: number): object => ({ images, objects: 2 * images, sha256: "0" });

function metrics(steps: number, AP: number): string {
  const rows = [1, 2, 3, 4].map((epoch) =>
    [
      epoch,
      (epoch * steps) / 4,
      1e-3,
      8 / epoch,
      0.5,
      0.4,
      0.3,
      [0.1, 0.3, AP, 0.35][epoch - 1],
      0.6,
      0.3,
      epoch * 18,
    ].join(),
  );
  const header =
    "epoch,step,lr,train/loss,train/loss_ce,train/loss_bbox,train/loss_giou,val/AP,val/AP50,val/AP75,train_seconds";
  return `${[header, ...rows].join("\n")}\n`;
}

function numerics(steps: number, place: string, precision: Precision): string {
  const scaled = precision === "16-mixed";
  const lines: object[] = [
    headerRecord({
      precision,
      reason: "measured here",
      overrides: { "*.norm": "fp32" },
      hardware: "2 × Processor",
      monitor_interval: 10,
      calibration: [calibrated("32-true", 1, 1), calibrated(precision, 1.5, 0.9998)],
    }),
  ];
  for (let step = 1, scale = scaled ? 65536 : 1; step <= steps; step++) {
    const skipped = scaled && (step <= 2 || step === 30);
    lines.push(
      stepRecord(step, {
        epoch: 1 + Math.floor((4 * (step - 1)) / steps),
        precision,
        scale,
        loss: 9 / step,
        found_inf: skipped,
        skipped,
        grad_norm: skipped ? Number.POSITIVE_INFINITY : 2,
        clip_factor: 1,
        lr: 1e-3,
        bad_parameter: skipped ? `${place}.weight` : null,
        fault: skipped ? "gradient" : null,
      }),
    );
    if (skipped) lines.push(overflow(step, scale, place));
    if (step === 1 || step % 10 === 0) lines.push(watched(step, scale, place, scaled ? "float16" : "bfloat16"));
    if (skipped) scale /= 2;
  }
  return lines.map((line) => `${recordLine(line)}\n`).join("");
}

const calibrated = (precision: Precision, speedup: number, rounding_cosine: number) => ({
  precision,
  step_seconds: 0.6 / speedup,
  speedup,
  peak_tensor_bytes: 9e6,
  memory_ratio: 0.6,
  gradient_cosine: 0.95 * rounding_cosine,
  rounding_cosine,
});

const overflow = (step: number, scale: number, place: string): object =>
  overflowReport(step, {
    scale,
    phase: "backward",
    files: ["/data/birds/train/1.jpg"],
    module: place,
    readers: ["class_embed"],
    output: { name: "gradient", dtype: "float16", shape: [2, 3], min: -3, max: 4, amax: 4, nan: 0, infinite: 1 },
    bad_parameter: `${place}.weight`,
    bad_parameters: 2,
    advice: ["The scaler has halved the scale."],
  });

/** The largest output of the module doubles every ten steps. */
const watched = (step: number, scale: number, place: string, dtype: "float16" | "bfloat16"): object =>
  monitorRecord(step, {
    scale,
    forward: [
      { ...module(place, dtype, 512 * 2 ** (step / 10), 5), largest: { value: -4096, dtype, index: [0, 3], image: 0 } },
      module("backbone.0.encoder.norm", "float32", 3, -4),
    ],
    gradient: [module(place, dtype, 16, -12)],
    updates: [
      { name: `${place}.weight`, ratio: 1e-3, bf16_lost: 0.5 },
      { name: "backbone.0.encoder.norm.weight", ratio: 2e-5, bf16_lost: 0.75 },
    ],
    images: ["train/7.jpg", "train/8.jpg"],
    forecasts:
      step < 30
        ? []
        : [
            {
              path: place,
              side: "forward",
              dtype,
              headroom: 7 - step / 10,
              bits_per_step: 0.1,
              steps: 40,
              watched_steps: 4,
              basis: { first: 10, records: 4, r2: 0.99 },
            },
          ],
    memory: {
      step: Math.max(1, step - 1),
      bytes: 9e6,
      phase: "backward",
      dtypes: { float16: 3e6, float32: 5e6, other: 1e6 },
      kinds: {
        weights: 1e6,
        copies: 5e5,
        gradients: 1e6,
        moments: 2e6,
        average: 1e6,
        activations: 2.5e6,
        temporary: 1e6,
      },
    },
  });
