// The package's four augmentation presets, applied after the resize to the square. Parameters are its Albumentations settings.
import type { Rng } from "./rng.js";
import { flipHorizontally, flipVertically, keepInside, type Sample } from "./transforms.js";

export type AugmentPreset = "default" | "none" | "conservative" | "aggressive" | "aerial" | "industrial";
export const augmentPresets: readonly AugmentPreset[] = ["default", "none", "conservative", "aggressive", "aerial", "industrial"];

type Step = (sample: Sample, rng: Rng) => Sample;
const sometimes =
  (p: number, step: Step): Step =>
  (sample, rng) =>
    rng.chance(p) ? step(sample, rng) : sample;

const presets: Record<AugmentPreset, readonly Step[]> = {
  none: [],
  default: [sometimes(0.5, flipHorizontally)],
  conservative: [sometimes(0.5, flipHorizontally), sometimes(0.3, brightnessContrast(0.1, 0.1))],
  aggressive: [
    sometimes(0.5, flipHorizontally),
    sometimes(0.5, flipVertically),
    sometimes(0.5, (s, rng) => affine(s, { angle: rng.uniform(-45, 45) })),
    sometimes(0.5, (s, rng) =>
      affine(s, {
        angle: rng.uniform(-15, 15),
        scale: rng.uniform(0.8, 1.2),
        shift: [rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1)],
        shear: [rng.uniform(-5, 5), rng.uniform(-5, 5)],
      }),
    ),
    sometimes(0.5, colourJitter),
  ],
  aerial: [
    sometimes(0.5, flipHorizontally),
    sometimes(0.5, flipVertically),
    sometimes(0.5, (s) => affine(s, { angle: 90 })),
    sometimes(0.4, brightnessContrast(0.15, 0.15)),
  ],
  industrial: [
    sometimes(0.3, flipHorizontally),
    sometimes(0.5, brightnessContrast(0.2, 0.2)),
    sometimes(0.3, gaussianBlur),
    sometimes(0.3, gaussianNoise),
  ],
};

export function augment(sample: Sample, preset: AugmentPreset, rng: Rng): Sample {
  return presets[preset].reduce((s, step) => step(s, rng), sample);
}

const byte = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : Math.round(value));

/** value·(1 + contrast) + 255·brightness, both uniform on ± their limits. */
function brightnessContrast(brightness: number, contrast: number): Step {
  return (sample, rng) => {
    const alpha = 1 + rng.uniform(-contrast, contrast);
    const beta = 255 * rng.uniform(-brightness, brightness);
    return { ...sample, data: Uint8Array.from(sample.data, (v) => byte(v * alpha + beta)) };
  };
}

/** Brightness, contrast, saturation ±20 % and hue ±10 % of the circle, in random order. */
function colourJitter(sample: Sample, rng: Rng): Sample {
  const data = Uint8Array.from(sample.data);
  const grey = (i: number): number => 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
  const blend = (i: number, towards: number, factor: number): void => {
    for (let c = 0; c < 3; c++) data[i + c] = byte(towards + (data[i + c] - towards) * factor);
  };
  const steps = [
    () => {
      const factor = rng.uniform(0.8, 1.2);
      for (let i = 0; i < data.length; i += 3) blend(i, 0, factor);
    },
    () => {
      const factor = rng.uniform(0.8, 1.2);
      let mean = 0;
      for (let i = 0; i < data.length; i += 3) mean += grey(i);
      mean /= data.length / 3;
      for (let i = 0; i < data.length; i += 3) blend(i, mean, factor);
    },
    () => {
      const factor = rng.uniform(0.8, 1.2);
      for (let i = 0; i < data.length; i += 3) blend(i, grey(i), factor);
    },
    () => {
      // A turn of the colour circle is a rotation about the grey axis.
      const angle = rng.uniform(-0.1, 0.1) * 2 * Math.PI;
      const [cos, sin] = [Math.cos(angle), Math.sin(angle) / Math.sqrt(3)];
      const [a, b, c] = [cos + (1 - cos) / 3, (1 - cos) / 3 - sin, (1 - cos) / 3 + sin];
      for (let i = 0; i < data.length; i += 3) {
        const [r, g, bl] = [data[i], data[i + 1], data[i + 2]];
        data[i] = byte(a * r + b * g + c * bl);
        data[i + 1] = byte(c * r + a * g + b * bl);
        data[i + 2] = byte(b * r + c * g + a * bl);
      }
    },
  ];
  for (const step of rng.shuffle(steps)) step();
  return { ...sample, data };
}

/** A 3×3 kernel; σ as OpenCV derives it from the size. */
function gaussianBlur(sample: Sample): Sample {
  const { width, height } = sample;
  const edge = Math.exp(-1 / (2 * 0.8 ** 2));
  const [side, middle] = [edge / (1 + 2 * edge), 1 / (1 + 2 * edge)];
  const rows = new Float32Array(sample.data.length);
  const at = (x: number, limit: number): number => (x < 0 ? 1 : x >= limit ? limit - 2 : x);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        const line = y * width;
        rows[(line + x) * 3 + c] =
          sample.data[(line + x) * 3 + c] * middle +
          (sample.data[(line + at(x - 1, width)) * 3 + c] + sample.data[(line + at(x + 1, width)) * 3 + c]) * side;
      }
  const data = new Uint8Array(sample.data.length);
  const stride = width * 3;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < stride; x++)
      data[y * stride + x] = byte(
        rows[y * stride + x] * middle + (rows[at(y - 1, height) * stride + x] + rows[at(y + 1, height) * stride + x]) * side,
      );
  return { ...sample, data };
}

/** Independent noise of deviation 1 to 5 % of the range. */
function gaussianNoise(sample: Sample, rng: Rng): Sample {
  const deviation = 255 * rng.uniform(0.01, 0.05);
  return { ...sample, data: Uint8Array.from(sample.data, (v) => byte(v + deviation * rng.normal())) };
}

interface AffineMap {
  /** Degrees, counter-clockwise. */
  angle: number;
  scale?: number;
  /** Fractions of width and height. */
  shift?: readonly [number, number];
  /** Degrees along x and y. */
  shear?: readonly [number, number];
}

/** Maps the image about its centre (bilinear, black outside). A box becomes the extent of its mapped corners, clipped. */
export function affine(sample: Sample, { angle, scale = 1, shift = [0, 0], shear = [0, 0] }: AffineMap): Sample {
  const { width, height } = sample;
  const radians = (-angle * Math.PI) / 180;
  const [sx, sy] = shear.map((s) => Math.tan((s * Math.PI) / 180));
  const [cos, sin] = [Math.cos(radians) * scale, Math.sin(radians) * scale];
  const [a, b, c, d] = [cos - sin * sy, cos * sx - sin, sin + cos * sy, sin * sx + cos];
  const [cx, cy] = [width / 2, height / 2];
  const [tx, ty] = [cx + shift[0] * width, cy + shift[1] * height];
  const determinant = a * d - b * c;
  const data = new Uint8Array(sample.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [px, py] = [x + 0.5 - tx, y + 0.5 - ty];
      const u = (d * px - b * py) / determinant + cx - 0.5;
      const v = (a * py - c * px) / determinant + cy - 0.5;
      const [x0, y0] = [Math.floor(u), Math.floor(v)];
      if (x0 < -1 || y0 < -1 || x0 >= width || y0 >= height) continue;
      const [fx, fy] = [u - x0, v - y0];
      for (let k = 0; k < 3; k++) {
        const pixel = (xx: number, yy: number): number =>
          xx < 0 || yy < 0 || xx >= width || yy >= height ? 0 : sample.data[(yy * width + xx) * 3 + k];
        data[(y * width + x) * 3 + k] = byte(
          (pixel(x0, y0) * (1 - fx) + pixel(x0 + 1, y0) * fx) * (1 - fy) + (pixel(x0, y0 + 1) * (1 - fx) + pixel(x0 + 1, y0 + 1) * fx) * fy,
        );
      }
    }
  const boxes = new Float32Array(sample.boxes.length);
  for (let i = 0; i < boxes.length; i += 4) {
    const [l, t, r, bottom] = sample.boxes.subarray(i, i + 4);
    const corners = [
      [l, t],
      [r, t],
      [l, bottom],
      [r, bottom],
    ].map(([x, y]) => [a * (x - cx) + b * (y - cy) + tx, c * (x - cx) + d * (y - cy) + ty]);
    boxes.set(
      [
        Math.min(...corners.map((p) => p[0])),
        Math.min(...corners.map((p) => p[1])),
        Math.max(...corners.map((p) => p[0])),
        Math.max(...corners.map((p) => p[1])),
      ],
      i,
    );
  }
  return keepInside({ ...sample, data, boxes });
}
