// Settings of the Python package that are not supported (rfdetr 1.11.2: TrainConfig, ModelConfig, and those of
// segmentation and keypoints).
import type { ModelConfig } from "../model/types.js";

/** A setting of the Python package that is not one here. */
export interface Refusal {
  /**
   * Values that change nothing here and are accepted silently, because saved configs of the package contain every
   * field.
   */
  accepts: readonly unknown[];
  /** Instead of `accepts`: only the value of the variant is accepted. */
  fixed?: (variant: ModelConfig) => unknown;
  /** Why any other value is an error, and what to do instead; follows a colon. */
  reason: string;
}

const processes = "processes sets how many processes train together, each on a device of its own";
const noKeypoints = "keypoints are not trained";
const noLogger = "events go to TensorBoard files and metrics.csv";
const alwaysOn = "every published model has it, and no other can be built";

/** A size that belongs to the variant, because its weights were trained with it. */
const size = (fixed: Refusal["fixed"]): Refusal => ({
  accepts: [],
  fixed,
  reason: "it belongs to the variant: choose another model",
});
const keypoint = (...accepts: unknown[]): Refusal => ({ accepts, reason: noKeypoints });

/** Settings of the package that are not supported, by their names. */
export const refused: Readonly<Record<string, Refusal>> = {
  accelerator: { accepts: ["auto"], reason: "use device instead" },
  devices: { accepts: [1, "auto"], reason: processes },
  num_nodes: { accepts: [1], reason: processes },
  strategy: { accepts: ["auto"], reason: "several processes always train data-parallel: use processes" },
  train_log_sync_dist: { accepts: [true, false], reason: "the loss of a step is always that of all processes" },
  sync_bn: { accepts: [false], reason: "the model has no batch norm" },
  resume: {
    accepts: [null],
    reason:
      "continue a run by its folder, with `rfdetr train` or RFDETR.resume; to start from the weights of a checkpoint, use weights",
  },

  dataset_file: {
    accepts: ["roboflow", "coco", "yolo"],
    reason: "the layout is detected: COCO and YOLO folders are read; convert Objects365 and WebDataset to COCO first",
  },
  square_resize_div_64: {
    accepts: [true],
    reason: "images are always resized to a square, which is the package's default",
  },
  augmentation_backend: {
    accepts: ["cpu", "auto", "torchvision", "albumentations"],
    reason: "there is only one augmentation backend",
  },
  save_dataset_grids: { accepts: [true, false], reason: "training batches are drawn unless plots is false" },
  pin_memory: { accepts: [null, true, false], reason: "it would not save a copy here" },
  persistent_workers: { accepts: [null, true, false], reason: "decoding threads live as long as the run" },
  prefetch_factor: { accepts: [null, 2], reason: "batches are prepared ahead up to a fixed amount of memory" },
  pack_targets: { accepts: [true, false], reason: "targets are never sent to another process" },
  pad_targets_to: { accepts: [null], reason: "it is for compilers of fixed shapes, which are not used" },

  eval_backend: {
    accepts: ["vernier", "hotcoco", "faster_coco_eval", "ufcoco"],
    reason: "there is only one evaluator; its figures equal those of pycocotools",
  },
  eval_ema_only: { accepts: [false], reason: "it has no effect in the package either; use eval_base_model" },
  eval_masks_head_resolution: { accepts: [false], reason: "masks are evaluated at the size of the image" },
  log_per_class_metrics: { accepts: [true, false], reason: "the figures of every class are always written" },
  compute_test_loss: { accepts: [true, false], reason: "the model is judged by AP; the test loss is not computed" },
  compute_train_metrics: {
    accepts: [false],
    reason: "AP of training batches is not computed; use that of the validation split",
  },
  compact_train_metrics: { accepts: [true], reason: "auxiliary losses are always written as sums" },
  smooth_alpha: {
    accepts: [0],
    reason: "the figure that chooses the best weights is not smoothed; skip_best_epochs ignores the first epochs",
  },
  num_sanity_val_steps: { accepts: [0], reason: "the data is checked before the first step instead" },

  dont_save_weights: { accepts: [false], reason: "the weights of a run are always saved" },
  progress_bar: { accepts: [null, "tqdm", "rich", true, false], reason: "the console adapts to the terminal" },
  wandb: { accepts: [false], reason: noLogger },
  mlflow: { accepts: [false], reason: noLogger },
  clearml: { accepts: [false], reason: noLogger },
  project: { accepts: [null], reason: "it belongs to loggers that are not supported; use notes for remarks" },
  run: { accepts: [null], reason: "use output_dir to name the run" },
  train_log_on_step: { accepts: [false], reason: "every step is written to numerics.jsonl" },

  optimizer: { accepts: ["adamw"], reason: "AdamW is the only optimizer" },
  optimizer_kwargs: { accepts: [{}], reason: "use lr and weight_decay; betas and eps are the defaults of PyTorch" },
  fused_optimizer: { accepts: [true, false], reason: "AdamW is always one fused kernel" },
  lr_scheduler_interval: { accepts: ["step"], reason: "the schedule advances with every step" },
  lr_scheduler_monitor: { accepts: ["val/loss"], reason: "schedules depend only on the step" },
  auto_batch_ema_headroom: { accepts: [0.7], reason: "batch_size auto measures with the average in memory" },
  compile: { accepts: [false], reason: "there is no graph compiler" },
  cuda_graphs: { accepts: [false], reason: "CUDA graphs are not used" },
  encoder: size(({ encoder }) => ({ 384: "dinov2_windowed_small", 768: "dinov2_windowed_base" })[encoder.width]),
  out_feature_indexes: size((v) => v.outFeatureIndexes),
  projector_scale: size((v) => v.projectorScale),
  hidden_dim: size((v) => v.hiddenDim),
  dec_layers: size((v) => v.decLayers),
  patch_size: size((v) => v.patchSize),
  num_windows: size((v) => v.numWindows),
  sa_nheads: size((v) => v.saNheads),
  ca_nheads: size((v) => v.caNheads),
  dec_n_points: size((v) => v.decNPoints),
  positional_encoding_size: {
    accepts: [],
    fixed: (v) => v.positionalEncodingSize,
    reason: "it follows from model and resolution, as in the package",
  },
  two_stage: { accepts: [true], reason: alwaysOn },
  bbox_reparam: { accepts: [true], reason: alwaysOn },
  lite_refpoint_refine: { accepts: [true], reason: alwaysOn },
  layer_norm: { accepts: [true], reason: alwaysOn },
  num_channels: { accepts: [3], reason: "images are read as RGB, whatever the file holds" },
  ia_bce_loss: {
    accepts: [true],
    reason: "the other classification losses are available to programs only, as an option of Criterion",
  },
  license: { accepts: ["Apache-2.0"], reason: "models under other licences are not supported" },

  segmentation_head: {
    accepts: [],
    fixed: (v) => v.segmentationHead,
    reason: "models that predict masks have names of their own: seg-nano, seg-small, seg-medium and so on",
  },
  keypoint_l1_loss_coef: keypoint(0),
  keypoint_findable_loss_coef: keypoint(0),
  keypoint_visible_loss_coef: keypoint(0),
  keypoint_nll_loss_coef: keypoint(0),
  keypoint_flip_pairs: keypoint([]),
  keypoint_oks_sigmas: keypoint(null),
  postprocess_trace_alpha: keypoint(0.2),
  use_grouppose_keypoints: keypoint(false),
  keypoint_cross_attn: keypoint(true, false),
  inter_instance_kp_attn: keypoint(false),
  grouppose_keypoint_dim_downscale: keypoint(1),
  dual_projector: keypoint(false),
  dual_projector_kp_only: keypoint(false),
  num_keypoints_per_class: keypoint([]),
  num_decoder_registers: keypoint(0),
};
