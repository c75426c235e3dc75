// Every setting of a training run: name, meaning, default. Types, checks, help and the table in FEATURES.md are made
// from it.
import { z } from "zod";
import type { CamelCase } from "../support/names.js";
import { precisionWords } from "./precision-words.js";

const count = z.number().int().positive();
const countOrZero = z.number().int().nonnegative();
const rate = z.number().nonnegative();
const share = z.number().min(0).max(1);

/**
 * Settings by the names and with the defaults of the Python package (rfdetr 1.11.2, `TrainConfig`). `ours` marks those
 * that the package does not have. `differs` says where a default, or what a setting does, is not the package's.
 */
export const settings = {
  dataset_dir: { type: z.string().min(1), fallback: undefined, about: "folder of the dataset" },
  output_dir: {
    type: z.string().min(1).nullable(),
    fallback: null,
    about: "folder of the run",
    differs: "null makes a new folder under runs/, because a run never overwrites another",
  },
  model: { type: z.string().min(1), fallback: "nano", about: "variant of the model", ours: true, also: "model_name" },
  weights: {
    type: z.string().min(1).nullable(),
    fallback: null,
    about: "weights to start from; null starts from random weights",
    ours: true,
    also: "pretrain_weights",
  },
  class_numbering: {
    type: z.enum(["auto", "from0", "from1"]),
    fallback: "auto",
    about:
      "label of the first class in the weights: versions up to 1.9.1 of the package counted Roboflow's COCO classes from 1; auto follows the file",
    ours: true,
  },
  num_classes: {
    type: count.nullable(),
    fallback: null,
    about: "number of classes that the data must have; null accepts any number",
    differs:
      "the head always has the classes of the data and one more row; any other number is an error, where the package widens the head",
  },
  class_names: {
    type: z.array(z.string()).nullable(),
    fallback: null,
    about: "names that the classes of the data must have, in this order; null accepts any names",
    differs: "another order is an error, where the package warns",
  },
  resolution: {
    type: count.nullable(),
    most: 16_384,
    fallback: null,
    about: "side length of the images in pixels; null takes the variant's",
  },
  num_queries: {
    type: count.nullable(),
    most: 100_000,
    fallback: null,
    about: "queries per group; null takes the variant's",
  },
  group_detr: {
    type: count.nullable(),
    most: 1000,
    fallback: null,
    about: "number of query groups in training; null takes the variant's",
  },
  num_select: { type: count.nullable(), fallback: null, about: "detections kept per image; null takes the variant's" },
  freeze_encoder: { type: z.boolean(), fallback: false, about: "train everything except the encoder" },
  drop_path: {
    type: z.number().nonnegative().lt(1),
    fallback: 0,
    about:
      "probability of skipping the last encoder layer for a window of an image; it falls linearly to 0 at the first layer",
  },
  cls_loss_coef: { type: rate, fallback: 1, about: "weight of the classification loss" },
  bbox_loss_coef: { type: rate, fallback: 5, about: "weight of the L1 box loss", ours: true },
  giou_loss_coef: { type: rate, fallback: 2, about: "weight of the generalised-IoU loss", ours: true },

  epochs: { type: count, fallback: 100, about: "passes over the training images" },
  max_steps: {
    type: count.nullable(),
    fallback: null,
    about: "stop after this many optimizer steps, also within an epoch; null trains all epochs",
    ours: true,
  },
  batch_size: {
    type: z.union([count, z.literal("auto")]),
    takes: "positive integer",
    most: 65_536,
    fallback: 4,
    about: "images per micro-batch; auto takes the largest that fits in memory and sets grad_accum_steps",
    differs: "auto measures the memory of the CPU, where the package requires CUDA",
  },
  auto_batch_target_effective: {
    type: count,
    fallback: 16,
    about: "images per optimizer step that batch_size auto aims for",
  },
  auto_batch_max_targets_per_image: {
    type: count,
    fallback: 100,
    about: "boxes per image while batch_size auto measures",
  },
  grad_accum_steps: { type: count, most: 65_536, fallback: 1, about: "micro-batches per optimizer step" },
  lr: { type: rate, fallback: 1e-4, about: "learning rate" },
  lr_encoder: { type: rate, fallback: 1.5e-4, about: "learning rate of the encoder" },
  lr_vit_layer_decay: {
    type: share,
    fallback: 0.8,
    about: "factor of the learning rate for each encoder layer before the last",
  },
  lr_component_decay: {
    type: share,
    fallback: 0.7,
    about: "factor of the learning rate of the decoder; the encoder gets its square",
  },
  weight_decay: { type: rate, fallback: 1e-4, about: "AdamW weight decay" },
  clip_max_norm: {
    type: rate,
    fallback: 0.1,
    about: "global gradient norm above which gradients are clipped; 0 never clips",
  },
  lr_scheduler: {
    type: z.enum(["step", "cosine", "linear"]),
    fallback: "step",
    about:
      "shape of the learning rate after warm-up; lr_drop and min_factor may also be given in lr_scheduler_kwargs, as in the package",
    differs:
      "`cosine` keeps its last value after the end, where the package's rises again; the package has no `linear`; other PyTorch schedulers are not available",
  },
  lr_drop: { type: count, fallback: 100, about: "epoch after which `step` divides the learning rate by ten" },
  min_factor: { type: share, fallback: 0, about: "share of the learning rate at which `cosine` and `linear` end" },
  warmup_epochs: { type: rate, fallback: 0, about: "epochs of linear warm-up; fractions are allowed" },
  use_ema: {
    type: z.boolean(),
    fallback: true,
    about: "keep an exponential moving average of the weights, evaluate it and save it for use",
  },
  ema_decay: { type: share, fallback: 0.993, about: "decay of the average" },
  ema_tau: { type: rate, fallback: 100, about: "updates over which the decay ramps up" },
  ema_update_interval: {
    type: count,
    fallback: 1,
    about: "optimizer steps between updates of the average; skipped steps do not count",
  },
  seed: {
    type: countOrZero.nullable(),
    fallback: null,
    about: "seed of the initial weights, the order of images and the augmentation",
    differs: "null draws a seed and records it in config.json, so that every run can be repeated",
  },

  multi_scale: {
    type: z.union([z.boolean(), z.enum(["per-batch", "off"])]),
    fallback: "per-batch",
    about: "train each step at a randomly chosen image size",
    without: { "per-sample": "all images of a batch have the same size; per-batch changes it at every step" },
  },
  expanded_scales: { type: z.boolean(), fallback: true, about: "more sizes for multi_scale" },
  scale_jitter: {
    type: z.boolean(),
    fallback: true,
    about: "replace half of the images, chosen at random, by a random crop",
  },
  augment: {
    type: z.enum(["default", "none", "conservative", "aggressive", "aerial", "industrial"]),
    fallback: "default",
    about:
      "augmentation of training images after resizing, by the name of a preset of the package; default flips half of the images horizontally",
    ours: true,
  },
  aug_config: {
    type: z.union([z.record(z.string(), z.json()), z.array(z.record(z.string(), z.json()))]).nullable(),
    fallback: null,
    about: "the augmentation in full, by Albumentations' names and parameters; {} is none, null follows augment",
    differs:
      "an unknown name or parameter is an error, where the package leaves the augmentation out; resizing does not change",
  },
  num_workers: {
    type: countOrZero,
    most: 256,
    fallback: 2,
    about: "threads that decode images ahead, each one image at a time; 0 decodes in the training thread",
  },
  auto_orient: {
    type: z.boolean(),
    fallback: true,
    about:
      "turn images upright by their EXIF orientation, as annotation tools show them; false keeps the stored pixels, as the package does",
    ours: true,
  },

  amp: {
    type: z.union([z.boolean(), z.literal("calibrate")]),
    fallback: true,
    about:
      "mixed precision; false is 32-true; calibrate measures every precision on the first batch before the run and uses the best",
  },
  amp_dtype: {
    type: z.enum(["auto", "bf16", "fp16"]).nullable(),
    fallback: "auto",
    about: "low-precision type of mixed precision; null is 32-true",
    means: { bfloat16: "bf16", "bf16-mixed": "bf16", float16: "fp16", half: "fp16", "16-mixed": "fp16" },
    differs: "auto is bf16 also on CPUs that multiply bf16 natively, where the package trains in float32",
    without: { fp8: "there are no fp8 kernels; use bf16" },
  },
  precision: {
    type: z.enum(["auto", "32-true", "bf16-mixed", "16-mixed"]),
    fallback: "auto",
    about: "precision of training; any value other than auto decides, and amp and amp_dtype must not contradict it",
    means: precisionWords,
    ours: true,
  },
  monitor_interval: {
    type: countOrZero,
    fallback: 200,
    about: "steps between records of activations and gradients in numerics.jsonl; 0 records none",
    ours: true,
  },
  precision_overrides: {
    type: z.record(z.string(), z.enum(["fp32", "lower", "keep", "widest", "bf16", "bf16x3", "policy"])),
    fallback: {},
    takes: 'an object of "module path": "fp32", "lower", "keep", "widest", "bf16", "bf16x3" or "policy"',
    about: "precision of the modules whose path matches a pattern",
    ours: true,
  },
  precision_policy: {
    type: z.enum(["default", "pytorch-cuda"]),
    fallback: "default",
    about: "table that tells autocast what to do with each operator",
    ours: true,
  },
  precision_operators: {
    type: z.record(z.string(), z.enum(["lower", "fp32", "widest", "keep"])),
    fallback: {},
    takes: 'an object of "operator": "lower", "fp32", "widest" or "keep"',
    about: "changes to rows of precision_policy, by the operator's name in libtorch",
    ours: true,
  },
  scaler: {
    type: z.strictObject({
      init: z.number().positive().optional(),
      growth: z.number().gt(1).optional(),
      backoff: z.number().gt(0).lt(1).optional(),
      interval: count.optional(),
    }),
    fallback: {},
    takes: "an object of init (above 0), growth (above 1), backoff (between 0 and 1) and interval (positive integer)",
    about:
      "loss scaler of 16-mixed; defaults: init 65536, growth 2 after interval 2000 finite steps, backoff 0.5 after a step that is not finite",
    ours: true,
  },
  on_non_finite: {
    type: z.enum(["skip", "stop", "rollback"]),
    fallback: "skip",
    about:
      "what to do when a loss or gradient is not finite: skip the step, stop the run, or go back to the last checkpoint of a healthy state with half the learning rate (a tenth of it each further time in an epoch); a step that overflows only because of the loss scale is always skipped",
    ours: true,
  },
  threads: {
    type: count.nullable(),
    most: 1024,
    fallback: null,
    about: "threads to compute with; null takes libtorch's default, one per core",
    ours: true,
  },
  fp16_eval: {
    type: z.boolean(),
    fallback: false,
    about: "obsolete: evaluate under float16 autocast with norm layers in float32",
  },
  gradient_checkpointing: {
    type: z.boolean(),
    fallback: false,
    about:
      "recompute the activations of encoder and decoder layers in backward instead of keeping them: less memory, more time; CPU only",
    differs: "covers the decoder too, where the package covers the encoder only",
  },
  device: {
    type: z.string().min(1),
    fallback: "auto",
    takes: "auto, cpu or cuda:N",
    about: "device to train on; auto takes the GPU, if there is one",
    differs: "auto is resolved when the run begins; the package resolves it when the settings are made",
  },

  eval_interval: { type: count, fallback: 1, about: "epochs between evaluations; the last epoch is always evaluated" },
  eval_batch_size: {
    type: count.nullable(),
    most: 65_536,
    fallback: null,
    about: "images per evaluation batch; null takes batch_size",
  },
  eval_max_dets: {
    type: count,
    fallback: 100,
    about: "detections per image that count towards AP",
    differs: "100 is the COCO definition, which published figures use",
  },
  eval_base_model: { type: z.boolean(), fallback: false, about: "also evaluate the weights that are not averaged" },
  run_test: { type: z.boolean(), fallback: false, about: "evaluate the best weights on the test split after training" },
  best_model_metric: {
    type: z.enum(["map", "mar"]),
    fallback: "map",
    about: "figure by which the best weights are chosen: AP or AR",
  },
  skip_best_epochs: {
    type: countOrZero,
    fallback: 0,
    about: "epochs at the start to ignore when choosing the best weights",
  },
  early_stopping: { type: z.boolean(), fallback: false, about: "stop when the figure no longer improves" },
  early_stopping_patience: { type: count, fallback: 10, about: "evaluations without improvement before stopping" },
  early_stopping_min_delta: { type: rate, fallback: 0.001, about: "smallest gain that counts as improvement" },
  early_stopping_use_ema: {
    type: z.boolean(),
    fallback: false,
    about: "watch the averaged weights only, even when both are evaluated",
  },

  checkpoint_seconds: {
    type: rate,
    fallback: 600,
    about: "seconds between checkpoints within an epoch; one is also written at the start and after every epoch",
    ours: true,
  },
  checkpoint_interval: { type: count, fallback: 10, about: "epochs between copies of the weights that are kept" },
  tensorboard: { type: z.boolean(), fallback: true, about: "write event files for TensorBoard" },
  notes: { type: z.json(), fallback: null, about: "any JSON value, stored with the run and in the weights" },
} as const satisfies Record<string, Setting>;

/** One setting: its type, default and meaning. */
export interface Setting {
  type: z.ZodType;
  fallback: unknown;
  about: string;
  /** The values it accepts, in words, if the type does not say it. */
  takes?: string;
  /** The largest number it accepts, where a larger one could only be a mistake. */
  most?: number;
  /** What other tools call its values, in lower case. */
  means?: Readonly<Record<string, string>>;
  /** Whether the package does not have it. */
  ours?: boolean;
  /** How the default, or what the setting does, differs from the package, and why. */
  differs?: string;
  /** The package's name for it, if it is another. */
  also?: string;
  /** Values that the package accepts and this program does not, each with the reason and the alternative. */
  without?: Readonly<Record<string, string>>;
}

type Settings = typeof settings;
/** Name of a setting in files, in snake_case. */
export type SettingName = keyof Settings;

/** A resolved configuration, camelCase. */
export type TrainSettings = { -readonly [K in SettingName as CamelCase<K>]: z.output<Settings[K]["type"]> };
/** Settings with the batch size chosen. */
export type ReadySettings = TrainSettings & { batchSize: number };
/** Settings as a caller gives them: those left out have their defaults. */
export type TrainOptions = Partial<TrainSettings>;
