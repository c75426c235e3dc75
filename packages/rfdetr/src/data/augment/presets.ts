// The Python package's ready-made configurations (`rfdetr.datasets.aug_configs`).
import type { AugConfig } from "./config.js";

/** By name, with the name in the Python package. */
export const augmentPresets = {
  none: {},
  /** `AUG_CONFIG` */
  default: { HorizontalFlip: { p: 0.5 } },
  /** `AUG_CONSERVATIVE`, for a few hundred images */
  conservative: {
    HorizontalFlip: { p: 0.5 },
    RandomBrightnessContrast: { brightness_limit: 0.1, contrast_limit: 0.1, p: 0.3 },
  },
  /** `AUG_AGGRESSIVE`, for thousands of images */
  aggressive: {
    HorizontalFlip: { p: 0.5 },
    VerticalFlip: { p: 0.5 },
    Rotate: { limit: 45, p: 0.5 },
    Affine: { scale: [0.8, 1.2], translate_percent: [-0.1, 0.1], rotate: [-15, 15], shear: [-5, 5], p: 0.5 },
    ColorJitter: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.1, p: 0.5 },
  },
  /** `AUG_AERIAL`, for aerial images */
  aerial: {
    HorizontalFlip: { p: 0.5 },
    VerticalFlip: { p: 0.5 },
    Rotate: { limit: [90, 90], p: 0.5 },
    RandomBrightnessContrast: { brightness_limit: 0.15, contrast_limit: 0.15, p: 0.4 },
  },
  /** `AUG_INDUSTRIAL`, for varying light and noisy sensors */
  industrial: {
    HorizontalFlip: { p: 0.3 },
    RandomBrightnessContrast: { brightness_limit: 0.2, contrast_limit: 0.2, p: 0.5 },
    GaussianBlur: { blur_limit: 3, p: 0.3 },
    GaussNoise: { std_range: [0.01, 0.05], p: 0.3 },
  },
} as const satisfies Record<string, AugConfig>;

/** Name of a preset. */
export type AugmentPreset = keyof typeof augmentPresets;
