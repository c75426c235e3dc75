// The settings of a training run that are about evaluation, and what follows from its figures.
import { z } from "zod";
import { count, countOrZero, rate, type Setting } from "./setting.js";

export const evaluationSettings = {
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
  compute_val_loss: {
    type: z.union([z.boolean(), z.literal("auto")]),
    fallback: "auto",
    about: "compute the loss on the validation split at every evaluation, in the same pass as AP; auto does",
    differs:
      "auto always computes it, which takes little time, where the package does so only for a scheduler or callback that watches it; the sums are divided by the boxes of the whole split, so that batches change nothing",
  },
  run_test: { type: z.boolean(), fallback: false, about: "evaluate the best weights on the test split after training" },
  best_model_metric: {
    type: z.enum(["map", "mar"]),
    fallback: "map",
    about: "figure by which the best weights are chosen: AP or AR, of masks where the model has them",
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
    differs: "without use_ema it is an error, where the package watches the weights that are not averaged",
  },
} as const satisfies Record<string, Setting>;
