// Settings of how images are drawn, loaded and changed; see settings.ts.
import { z } from "zod";
import { countOrZero, rate, type Setting, share } from "./setting.js";

export const dataSettings = {
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

  class_balanced_sampling: {
    type: share,
    fallback: 0,
    about:
      "share of the images below which a class counts as rare: images with rare classes come more often in an epoch, by the repeat factors of LVIS; 0 repeats none",
    ours: true,
  },
  class_weights: {
    type: z.union([share, z.record(z.string(), rate)]),
    takes: "number from 0 to 1, or a mapping of class names to weights above 0",
    fallback: 0,
    about:
      "weights of the classes in the classification loss of matched boxes: a power of the inverse number of boxes (0 none, 1 the whole inverse), 1 on average over the boxes; or a weight for each class by its name",
    ours: true,
  },
} as const satisfies Record<string, Setting>;
