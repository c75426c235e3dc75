// Augmentations by their names and parameters in Albumentations 2.0.8, to which the Python package passes its
// `aug_config`.
import { z } from "zod";
import { flipHorizontally, flipVertically, type Sample } from "../images/geometry.js";
import { affine } from "./affine.js";
import { blur, gaussianKernel, noise } from "./blur.js";
import { contrast, meanOf, multiplyAdd, saturation, shiftHsv, toGrey } from "./colour.js";
import {
  draw,
  factor,
  fixed,
  type Kind,
  kind,
  only,
  pair,
  perAxis,
  range,
  type Step,
  symmetric,
  warping,
} from "./parameters.js";
import { quarterTurns, symmetry, transpose } from "./symmetries.js";

/** An augmentation without parameters. */
const simple = (step: Step, p = 0.5): Kind => kind(p, {}, () => step);
const anySymmetry = simple((sample, rng) => symmetry(sample, rng.integer(0, 7)), 1);

const rotate = kind(
  0.5,
  { limit: symmetric.default([-90, 90]), crop_border: only(false), ...warping },
  ({ limit }) =>
    (sample, rng) =>
      affine(sample, { rotate: draw(rng, limit) }),
);

const affineMap = kind(
  0.5,
  {
    scale: perAxis(1).default({ x: [1, 1], y: [1, 1] }),
    translate_percent: perAxis(0).nullable().default(null),
    translate_px: perAxis(0).nullable().default(null),
    rotate: fixed.default([0, 0]),
    // Albumentations shears an axis that is left out by one degree: its default was meant for scale.
    shear: perAxis(1).default({ x: [0, 0], y: [0, 0] }),
    keep_ratio: z.boolean().default(false),
    fit_output: only(false),
    balanced_scale: only(false),
    ...warping,
  },
  (given) => (sample, rng) => {
    const { scale, shear, rotate, translate_percent: percent, translate_px: pixels } = given;
    const shift = (axis: "x" | "y", side: number): number => {
      if (percent !== null) return Math.trunc(draw(rng, percent[axis]) * side);
      return pixels === null ? 0 : rng.integer(Math.trunc(pixels[axis][0]), Math.trunc(pixels[axis][1]));
    };
    const translate = [shift("x", sample.width), shift("y", sample.height)] as const;
    const sheared = [-draw(rng, shear.x), -draw(rng, shear.y)] as const;
    const x = draw(rng, scale.x);
    return affine(sample, {
      translate,
      shear: sheared,
      scale: [x, given.keep_ratio ? x : draw(rng, scale.y)],
      rotate: draw(rng, rotate),
    });
  },
);

const shiftScaleRotate = kind(
  0.5,
  {
    shift_limit: symmetric.default([-0.0625, 0.0625]),
    scale_limit: symmetric.default([-0.1, 0.1]),
    rotate_limit: symmetric.default([-45, 45]),
    shift_limit_x: symmetric.nullable().default(null),
    shift_limit_y: symmetric.nullable().default(null),
    ...warping,
  },
  (given) => (sample, rng) =>
    affine(sample, {
      translate: [
        Math.trunc(draw(rng, given.shift_limit_x ?? given.shift_limit) * sample.width),
        Math.trunc(draw(rng, given.shift_limit_y ?? given.shift_limit) * sample.height),
      ],
      scale: [1 + draw(rng, given.scale_limit), 1 + draw(rng, given.scale_limit)],
      rotate: draw(rng, given.rotate_limit),
    }),
);

const brightnessContrast = kind(
  0.5,
  {
    brightness_limit: symmetric.default([-0.2, 0.2]),
    contrast_limit: symmetric.default([-0.2, 0.2]),
    brightness_by_max: z.boolean().default(true),
    ensure_safe_range: only(false),
  },
  (given) => (sample, rng) => {
    const alpha = 1 + draw(rng, given.contrast_limit);
    const beta = draw(rng, given.brightness_limit);
    return multiplyAdd(sample, alpha, beta * (given.brightness_by_max ? 255 : meanOf(sample)));
  },
);

const colorJitter = kind(
  0.5,
  {
    brightness: factor.default([0.8, 1.2]),
    contrast: factor.default([0.8, 1.2]),
    saturation: factor.default([0.8, 1.2]),
    hue: symmetric.default([-0.5, 0.5]),
  },
  (given) => (sample, rng) => {
    const [bright, strong, vivid, turn] = [given.brightness, given.contrast, given.saturation, given.hue].map((r) =>
      draw(rng, r),
    );
    const steps = [
      (s: Sample) => multiplyAdd(s, bright, 0),
      (s: Sample) => contrast(s, strong),
      (s: Sample) => saturation(s, vivid),
      (s: Sample) => shiftHsv(s, 180 * turn, 0, 0),
    ];
    return rng.shuffle(steps).reduce((s, step) => step(s), sample);
  },
);

const hueSaturationValue = kind(
  0.5,
  {
    hue_shift_limit: symmetric.default([-20, 20]),
    sat_shift_limit: symmetric.default([-30, 30]),
    val_shift_limit: symmetric.default([-20, 20]),
  },
  (given) => (sample, rng) =>
    shiftHsv(
      sample,
      draw(rng, given.hue_shift_limit),
      draw(rng, given.sat_shift_limit),
      draw(rng, given.val_shift_limit),
    ),
);

const gaussianBlur = kind(
  0.5,
  { blur_limit: range((n) => [0, n]).default([0, 0]), sigma_limit: range((n) => [0, n]).default([0.5, 3]) },
  (given) => (sample, rng) => {
    const sigma = draw(rng, given.sigma_limit);
    return blur(sample, gaussianKernel(sigma, rng.integer(given.blur_limit[0], given.blur_limit[1])));
  },
);

const gaussNoise = kind(
  0.5,
  {
    std_range: pair.default([0.2, 0.44]),
    mean_range: pair.default([0, 0]),
    per_channel: z.boolean().default(true),
    noise_scale_factor: only(1),
  },
  (given) => (sample, rng) => {
    const deviation = 255 * draw(rng, given.std_range);
    return noise(sample, 255 * draw(rng, given.mean_range), deviation, given.per_channel, rng);
  },
);

/** Every augmentation by its name in Albumentations. */
export const kinds: Readonly<Record<string, Kind>> = {
  HorizontalFlip: simple(flipHorizontally),
  TimeReverse: simple(flipHorizontally),
  VerticalFlip: simple(flipVertically),
  Transpose: simple(transpose),
  D4: anySymmetry,
  SquareSymmetry: anySymmetry,
  RandomRotate90: simple((sample, rng) => quarterTurns(sample, rng.integer(0, 3)), 1),
  Rotate: rotate,
  Affine: affineMap,
  ShiftScaleRotate: shiftScaleRotate,
  RandomBrightnessContrast: brightnessContrast,
  ColorJitter: colorJitter,
  HueSaturationValue: hueSaturationValue,
  ToGray: kind(0.5, { num_output_channels: only(3), method: only("weighted_average") }, () => toGrey),
  GaussianBlur: gaussianBlur,
  GaussNoise: gaussNoise,
};
