// Every setting of a training run: name, meaning, default. One table from which types, checks, help and the compatibility table come.
import { z } from "zod";
import type { CamelCase } from "../support/names.js";

const count = z.number().int().positive();
const countOrZero = z.number().int().nonnegative();
const rate = z.number().nonnegative();
const share = z.number().min(0).max(1);

/**
 * Settings by the names the Python package gives them (rfdetr 1.11.2 `TrainConfig`), with its defaults; `ours` marks those it does not have.
 * Where a default differs, `differs` says why.
 */
export const settings = {
  dataset_dir: { type: z.string().min(1), fallback: undefined, about: "folder of the dataset" },
  output_dir: {
    type: z.string().min(1).nullable(),
    fallback: null,
    about: "folder of the run",
    differs: "null makes a fresh folder under runs/, because an old run is never overwritten",
  },
  model: { type: z.string().min(1), fallback: "nano", about: "variant", ours: true, also: "model_name" },
  weights: {
    type: z.string().min(1).nullable(),
    fallback: null,
    about: "weights to start from; null trains from random weights",
    ours: true,
    also: "pretrain_weights",
  },
  num_classes: {
    type: count.nullable(),
    fallback: null,
    about: "number of classes that the data must have; null takes what it has",
    differs: "the head always has the classes of the data (and one row more); another number is an error, not a wider head",
  },
  class_names: {
    type: z.array(z.string()).nullable(),
    fallback: null,
    about: "names that the classes of the data must have, in their order; null takes what they are",
    differs: "another order is an error; the package warns",
  },
  resolution: { type: count.nullable(), fallback: null, about: "side length in pixels; null takes the variant's" },
  num_queries: { type: count.nullable(), fallback: null, about: "queries per group; null takes the variant's" },
  group_detr: { type: count.nullable(), fallback: null, about: "query groups in training; null takes the variant's" },
  num_select: { type: count.nullable(), fallback: null, about: "detections kept per image; null takes the variant's" },
  freeze_encoder: { type: z.boolean(), fallback: false, about: "train everything but the encoder" },
  drop_path: {
    type: z.number().nonnegative().lt(1),
    fallback: 0,
    about: "probability that the last encoder layer is left out for a window of an image; earlier layers less, the first never",
  },
  cls_loss_coef: { type: rate, fallback: 1, about: "weight of the classification loss" },
  bbox_loss_coef: { type: rate, fallback: 5, about: "weight of the L1 box loss", ours: true },
  giou_loss_coef: { type: rate, fallback: 2, about: "weight of the generalised-IoU loss", ours: true },

  epochs: { type: count, fallback: 100, about: "passes over the training images" },
  max_steps: { type: count.nullable(), fallback: null, about: "end after this many optimizer steps, whatever the epoch", ours: true },
  batch_size: {
    type: z.union([count, z.literal("auto")]),
    takes: "positive integer",
    fallback: 4,
    about: "images per micro-batch; auto takes the largest that fits the memory, and sets grad_accum_steps",
    differs: "auto measures the CPU's memory, where the package asks for CUDA",
  },
  auto_batch_target_effective: { type: count, fallback: 16, about: "images of an optimizer step that batch_size auto aims at" },
  auto_batch_max_targets_per_image: { type: count, fallback: 100, about: "boxes an image has while batch_size auto is measured" },
  grad_accum_steps: { type: count, fallback: 1, about: "micro-batches per optimizer step" },
  lr: { type: rate, fallback: 1e-4, about: "learning rate" },
  lr_encoder: { type: rate, fallback: 1.5e-4, about: "learning rate of the encoder" },
  lr_vit_layer_decay: { type: share, fallback: 0.8, about: "factor per encoder layer below the last" },
  lr_component_decay: { type: share, fallback: 0.7, about: "factor of the decoder, and twice of the encoder" },
  weight_decay: { type: rate, fallback: 1e-4, about: "AdamW weight decay" },
  clip_max_norm: { type: rate, fallback: 0.1, about: "largest global gradient norm; 0 does not clip" },
  lr_scheduler: {
    type: z.enum(["step", "cosine", "linear"]),
    fallback: "step",
    about: "shape of the learning rate after warm-up; its own settings may also stand in lr_scheduler_kwargs, as in the package",
    differs:
      "`cosine` keeps its last value past the end, where the package's rises again; `linear` is ours; other schedulers of PyTorch are not taken by name",
  },
  lr_drop: { type: count, fallback: 100, about: "epoch after which `step` divides the learning rate by ten" },
  min_factor: { type: share, fallback: 0, about: "share of the learning rate that `cosine` and `linear` end at" },
  warmup_epochs: { type: rate, fallback: 0, about: "epochs of linear warm-up; may be a fraction" },
  use_ema: { type: z.boolean(), fallback: true, about: "keep, evaluate and ship an exponential moving average of the weights" },
  ema_decay: { type: share, fallback: 0.993, about: "decay of the average" },
  ema_tau: { type: rate, fallback: 100, about: "updates over which the decay ramps up" },
  ema_update_interval: { type: count, fallback: 1, about: "applied steps between updates of the average" },
  seed: {
    type: countOrZero.nullable(),
    fallback: null,
    about: "seed of weights, order, augmentation",
    differs: "null draws one and records it in config.json, so that every run can be repeated",
  },

  multi_scale: {
    type: z.union([z.boolean(), z.enum(["per-batch", "off"])]),
    fallback: "per-batch",
    about: "train every step at another size",
    without: { "per-sample": "images of one batch have one size; per-batch changes it with every step" },
  },
  expanded_scales: { type: z.boolean(), fallback: true, about: "more sizes for multi_scale" },
  scale_jitter: { type: z.boolean(), fallback: true, about: "half of the images are a random crop" },
  augment: {
    type: z.enum(["default", "none", "conservative", "aggressive", "aerial", "industrial"]),
    fallback: "default",
    about:
      "what happens to training images after resizing, by the name of a preset of the package; default is a horizontal flip of every second one",
    ours: true,
  },
  aug_config: {
    type: z.union([z.record(z.string(), z.json()), z.array(z.record(z.string(), z.json()))]).nullable(),
    fallback: null,
    about: "the same in full, by Albumentations' names and parameters; {} is none, null follows augment",
    differs: "an unknown name or parameter is an error, where the package leaves the augmentation out; images are resized as without it",
  },
  num_workers: { type: countOrZero, fallback: 2, about: "images decoded ahead at the same time" },

  amp: {
    type: z.union([z.boolean(), z.literal("calibrate")]),
    fallback: true,
    about: "mixed precision; false is 32-true; calibrate measures every precision on the first batch before the run and takes the best",
  },
  amp_dtype: {
    type: z.enum(["auto", "bf16", "fp16"]).nullable(),
    fallback: "auto",
    about: "half type of mixed precision; null is 32-true",
    differs: "auto is bf16 on CPUs too where they compute in it fast; the package trains CPUs in float32",
    without: { fp8: "there are no fp8 kernels; bf16 is the smallest type that trains" },
  },
  precision: {
    type: z.enum(["auto", "32-true", "bf16-mixed", "16-mixed"]),
    fallback: "auto",
    about: "precision; anything but auto wins over amp and amp_dtype",
    ours: true,
  },
  monitor_interval: {
    type: countOrZero,
    fallback: 200,
    about: "steps between those whose activations and gradients are looked at, into numerics.jsonl; 0 looks at none",
    ours: true,
  },
  precision_overrides: {
    type: z.record(z.string(), z.enum(["fp32", "lower", "keep", "widest", "bf16", "bf16x3", "policy"])),
    fallback: {},
    takes: 'an object of "module path": "fp32", "lower", "keep", "widest", "bf16", "bf16x3" or "policy"',
    about: "precision of the modules whose path fits a pattern",
    ours: true,
  },
  precision_policy: {
    type: z.enum(["default", "pytorch-cuda"]),
    fallback: "default",
    about: "table of what autocast does with each operator",
    ours: true,
  },
  precision_operators: {
    type: z.record(z.string(), z.enum(["lower", "fp32", "widest", "keep"])),
    fallback: {},
    takes: 'an object of "operator": "lower", "fp32", "widest" or "keep"',
    about: "rows of that table to change, by the operator's name in libtorch",
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
    about: "the loss scaler of 16-mixed: first scale 65536, growth 2 after interval 2000 good steps, backoff 0.5 after a bad one",
    ours: true,
  },
  on_non_finite: {
    type: z.enum(["skip", "stop", "rollback"]),
    fallback: "skip",
    about:
      "after a loss or gradient that is not finite: skip the step, stop the run, or go back to the last checkpoint with half the learning rate; an overflow that the loss scale explains is always skipped",
    ours: true,
  },
  threads: {
    type: count.nullable(),
    fallback: null,
    about: "threads to compute with; null takes libtorch's choice, one a core",
    ours: true,
  },
  fp16_eval: { type: z.boolean(), fallback: false, about: "a leftover: evaluate under fp16 autocast with norm layers in fp32" },
  gradient_checkpointing: {
    type: z.boolean(),
    fallback: false,
    about:
      "compute the activations of encoder and decoder layers again in backward instead of keeping them: less memory, more time; CPU only",
    differs: "the decoder's layers too; the package checkpoints the encoder's",
  },
  device: {
    type: z.string().min(1),
    fallback: "auto",
    about: "auto, cpu or cuda:N",
    differs: "auto chooses when the run begins; the package writes down what it finds",
  },

  eval_interval: { type: count, fallback: 1, about: "epochs between evaluations; the last epoch always is evaluated" },
  eval_batch_size: { type: count.nullable(), fallback: null, about: "images per evaluation batch; null takes batch_size" },
  eval_max_dets: {
    type: count,
    fallback: 100,
    about: "detections per image that count for AP",
    differs: "100 is the stock COCO definition, which published figures use",
  },
  eval_base_model: { type: z.boolean(), fallback: false, about: "also evaluate the weights that are not averaged" },
  run_test: { type: z.boolean(), fallback: false, about: "evaluate the best weights on the test split at the end" },
  best_model_metric: { type: z.enum(["map", "mar"]), fallback: "map", about: "figure that chooses the best weights" },
  skip_best_epochs: { type: countOrZero, fallback: 0, about: "first epochs that cannot be best" },
  early_stopping: { type: z.boolean(), fallback: false, about: "end when the figure no longer improves" },
  early_stopping_patience: { type: count, fallback: 10, about: "evaluations without improvement before the end" },
  early_stopping_min_delta: { type: rate, fallback: 0.001, about: "smallest gain that counts as improvement" },
  early_stopping_use_ema: { type: z.boolean(), fallback: false, about: "watch the averaged weights only, also where both are evaluated" },

  checkpoint_interval: { type: count, fallback: 10, about: "epochs between kept copies of the weights" },
  tensorboard: { type: z.boolean(), fallback: true, about: "write TensorBoard events" },
  notes: { type: z.json(), fallback: null, about: "anything; stored with the run and in the weights" },
} as const satisfies Record<string, Setting>;

/** One setting: its type, default and meaning. */
export interface Setting {
  type: z.ZodType;
  fallback: unknown;
  about: string;
  /** What it takes, in words, where the type does not say it. */
  takes?: string;
  ours?: boolean;
  /** Where the default, or what is done, is not the package's, and why. */
  differs?: string;
  /** Another name that the package has for it. */
  also?: string;
  /** Values that the package takes and this program does not, each with the reason and what to do instead. */
  without?: Readonly<Record<string, string>>;
}

type Settings = typeof settings;
/** Name of a setting in files, in snake_case. */
export type SettingName = keyof Settings;

/** A resolved configuration, camelCase. */
export type TrainSettings = { -readonly [K in SettingName as CamelCase<K>]: z.output<Settings[K]["type"]> };
/** Settings with the batch size chosen. */
export type ReadySettings = TrainSettings & { batchSize: number };
/** What a caller gives: any of the settings. */
export type TrainOptions = Partial<TrainSettings>;
