// Events of a run, for tests of what is said about it.
import type { EpochEvent, StartEvent, StepEvent } from "../../run/files/events.js";
import type { RunSummary } from "../../run/files/run-directory.js";

export const startEvent: StartEvent = {
  type: "start",
  dir: "runs/nano",
  versions: { rfdetr: "0.1.0", node: "v20.20.2", libtorch: "2.15.0" },
  data: "birds",
  model: "nano",
  weights: "runs/first/weights/best.safetensors",
  resolution: 384,
  parameters: 30_467_298,
  classes: ["crow", "owl"],
  trainImages: 1500,
  validImages: 250,
  stepsPerEpoch: 94,
  totalSteps: 4700,
  epochs: 50,
  batch: 16,
  accumulate: 4,
  processes: 1,
  precision: "16-mixed",
  reason: "as requested",
  precisionNote: null,
  device: "cpu",
  deviceName: null,
  threads: 1,
  hardware: "2 × EPYC",
  seed: 3,
  resumedAt: null,
};

export const stepEvent: StepEvent = {
  type: "step",
  epoch: 3,
  step: 214,
  totalSteps: 4700,
  stepInEpoch: 27,
  stepsPerEpoch: 94,
  loss: 12.3456,
  lr: 1e-4,
  gradNorm: 1,
  imagesPerSecond: 12.3,
  rssBytes: 2.1 * 2 ** 30,
  size: 448,
  precision: "16-mixed",
  lossScale: 65536,
  skipped: false,
  fault: null,
  skippedSteps: 2,
  secondsLeft: 3723,
};

/** A step that the loss scale was too high for. */
export const skippedEvent: StepEvent = {
  ...stepEvent,
  skipped: true,
  lossScale: 32768,
  fault: { what: "gradient of class_embed.weight", module: "transformer.decoder.layers.1.cross_attn", scale: 65536 },
};

export const epochEvent: EpochEvent = {
  type: "epoch",
  epoch: 1,
  epochs: 50,
  step: 94,
  loss: 10.5,
  terms: { loss_ce: 1, loss_bbox: 2, loss_giou: 3 },
  lr: 1e-4,
  ap: 0.5,
  ap50: 0.7,
  ap75: null,
  perClass: [],
  best: true,
  seconds: 60,
  evaluationSeconds: 5,
  imagesPerSecond: 12.3,
  amp: { precision: "16-mixed", lossScale: 65536, skipped: 2 },
};

export const runSummary: RunSummary = {
  AP: 0.5123,
  AP50: 0.7001,
  precision: "16-mixed",
  reason: "as requested",
  epochs: 50,
  steps: 4700,
  skipped_steps: 2,
  bad_images: 0,
  train_seconds: 3723,
  processes: 1,
  peak_rss_bytes: 2.1 * 2 ** 30,
  stop_reason: "finished",
  best_epoch: 41,
  error: null,
  started: "2026-01-01T12:00:00.000Z",
  versions: { rfdetr: "0.1.0", node: "v20.20.2", libtorch: "2.15.0" },
};
