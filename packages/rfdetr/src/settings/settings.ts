// Every setting of a training run: name, meaning, default. Types, checks, help and the table in FEATURES.md are made
// from it.
import { z } from "zod";
import { variants } from "../model/variants.js";
import type { CamelCase } from "../support/names.js";
import { largestSide } from "../support/shape.js";
import { dataSettings } from "./data-settings.js";
import { evaluationSettings } from "./evaluation-settings.js";
import { maskSettings } from "./mask-settings.js";
import { precisionSettings } from "./precision-settings.js";
import { count, countOrZero, rate, type Setting, share } from "./setting.js";

const side = count.max(largestSide);

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
  model: {
    type: z.string().min(1),
    takes: variants.join(", "),
    fallback: "nano",
    about: "variant of the model",
    ours: true,
    also: "model_name",
  },
  weights: {
    type: z.string().min(1).nullable(),
    takes: "coco, none, a path or the name of published weights",
    fallback: "coco",
    about:
      "weights to start from: coco (published for the model, downloaded once), a file, the folder of a run, or none, which starts from random weights; a model without published weights starts from none",
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
    type: z.union([side, z.tuple([side, side])]).nullable(),
    takes: `positive integer up to ${largestSide}, or height and width such as [384, 640]`,
    fallback: null,
    about: "size of the images in pixels: the side of a square, or [height, width]; null takes the variant's",
    differs: "the package trains squares only",
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
  freeze_encoder: {
    type: z.boolean(),
    fallback: false,
    about: "train everything except the encoder",
    differs: "together with backbone_lora it is an error, where the package trains the adapters",
  },
  backbone_lora: {
    type: z.boolean(),
    fallback: false,
    about:
      "train adapters of the encoder in place of its weights: DoRA of rank and alpha 16 on queries, keys and values; weights are saved with the adapters merged",
    differs: "the package keeps adapters apart in its checkpoints and merges them when they are exported",
  },
  freeze: {
    type: z.array(z.string().min(1)),
    fallback: [],
    takes: "a list of module patterns",
    about:
      'modules that are not trained, by patterns as in precision_overrides, such as ["backbone.*"]: they get no gradient and no state of the optimizer',
    ours: true,
  },
  drop_path: {
    type: z.number().nonnegative().lt(1),
    fallback: 0,
    about:
      "probability of skipping the last encoder layer for a window of an image; it falls linearly to 0 at the first layer",
  },
  cls_loss_coef: { type: rate, fallback: 1, about: "weight of the classification loss" },
  bbox_loss_coef: { type: rate, fallback: 5, about: "weight of the L1 box loss", ours: true },
  giou_loss_coef: { type: rate, fallback: 2, about: "weight of the generalised-IoU loss", ours: true },
  ...maskSettings,

  epochs: { type: count, fallback: 100, about: "passes over the training images" },
  max_steps: {
    type: count.nullable(),
    fallback: null,
    about: "stop after this many optimizer steps, also within an epoch; null trains all epochs",
    ours: true,
  },
  time_budget: {
    type: z.number().positive().nullable(),
    takes: "seconds above 0",
    // A year.
    most: 31_536_000,
    fallback: null,
    about:
      "seconds of training and evaluation that the run may take: its last step is planned from its speed, and lr_scheduler falls towards it; null takes the steps of all epochs",
    ours: true,
  },
  batch_size: {
    type: z.union([count, z.literal("auto")]),
    takes: "positive integer",
    most: 65_536,
    fallback: 4,
    about: "images per micro-batch; auto takes the largest that fits in memory and sets grad_accum_steps",
    differs: "auto measures the memory of the CPU too, where the package requires CUDA",
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
  grad_accum_steps: {
    type: count,
    most: 65_536,
    fallback: 1,
    about: "micro-batches per optimizer step and process",
    differs: "with batch_size auto, which sets it, any number but 1 is an error, where the package replaces it",
  },
  processes: {
    type: count,
    most: 65_536,
    fallback: 1,
    about:
      "processes that train together: a step has processes × grad_accum_steps micro-batches. A run may be continued by any number of processes that divides this one",
    ours: true,
  },
  box_normaliser: {
    type: z.enum(["micro_batch", "step"]),
    fallback: "micro_batch",
    about:
      "the boxes that the losses of a micro-batch are divided by: its own, or the mean over all micro-batches of the step; with several processes always step, which is then the default",
    differs: "the package always takes micro_batch in one process and step in several",
    ours: true,
  },
  lr: { type: rate, fallback: 1e-4, about: "learning rate of all but the encoder, which has lr_encoder" },
  lr_encoder: { type: rate, fallback: 1.5e-4, about: "learning rate of the encoder; lr does not change it" },
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

  ...dataSettings,
  ...precisionSettings,
  device: {
    type: z.string().min(1),
    fallback: "auto",
    takes: "auto, cpu or cuda:N",
    about: "device to train on; auto takes the GPU, if there is one",
    differs: "auto is resolved when the run begins; the package resolves it when the settings are made",
  },

  gradient_compression: {
    type: z.enum(["none", "bfloat16"]),
    fallback: "none",
    about:
      "bfloat16: with several processes gradients travel rounded to bfloat16, in half of the bytes, and are added up in float32; none: as they are, so that the weights have the bits of one process",
    differs: "the package has it as a hook of DistributedDataParallel",
    ours: true,
  },
  process_timeout: {
    type: z.number().positive(),
    most: 86_400,
    fallback: 600,
    about: "seconds after which a process that does not answer the others counts as lost, with several processes",
    ours: true,
  },

  ...evaluationSettings,

  checkpoint_seconds: {
    type: rate,
    fallback: 600,
    about: "seconds between checkpoints within an epoch; one is also written at the start and after every epoch",
    ours: true,
  },
  checkpoint_interval: { type: count, fallback: 10, about: "epochs between copies of the weights that are kept" },
  tensorboard: { type: z.boolean(), fallback: true, about: "write event files for TensorBoard" },
  plots: {
    type: z.boolean(),
    fallback: true,
    about: "draw pictures of the data, of training batches and of evaluations into the folder of the run",
    ours: true,
  },
  callbacks: {
    type: z.string().min(1).nullable(),
    takes: "the path of a module",
    fallback: null,
    about:
      "module whose default export, made with defineCallbacks, listens to the run: it may record figures, change the learning rate and the precision, and stop the run; null has none",
    ours: true,
  },
  notes: { type: z.json(), fallback: null, about: "any JSON value, stored with the run and in the weights" },
} as const satisfies Record<string, Setting>;

type Settings = typeof settings;
/** Name of a setting in files, in snake_case. */
export type SettingName = keyof Settings;

/** A resolved configuration, camelCase. */
export type TrainSettings = { -readonly [K in SettingName as CamelCase<K>]: z.output<Settings[K]["type"]> };
/** Settings with the batch size chosen. */
export type ReadySettings = TrainSettings & { batchSize: number };
/** Settings as a caller gives them: those left out have their defaults. */
export type TrainOptions = Partial<TrainSettings>;
