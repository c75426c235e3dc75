// Geometric transforms of images with their boxes. Images are RGB bytes, boxes are corners in pixels.

import { gatherMask, invertMask, mirrorMask, nearestPixels, resampleMask } from "../../masks/gather-mask.js";
import type { Mask } from "../../masks/mask.js";
import type { Rng } from "../../support/random.js";
import { pillowResize, type Window } from "./pillow-resize.js";

/** An image with its boxes and classes. */
export interface Sample {
  /** `[height, width, 3]` */
  data: Uint8Array;
  width: number;
  height: number;
  /** `[n × 4]` left, top, right, bottom in pixels. */
  boxes: Float32Array;
  /** `[n]` */
  labels: Int32Array;
  /** `[n]` the pixels of each object, at the size of the image; absent where the data is without masks. */
  masks?: Mask[];
}

/** The masks of a sample, each changed; nothing where it has none. */
export function changedMasks({ masks }: Sample, change: (mask: Mask) => Mask): Pick<Sample, "masks"> {
  return masks === undefined ? {} : { masks: masks.map(change) };
}

/** Resizes image and boxes (Pillow's bilinear), and masks, which may have another size before (nearest pixel). */
export function resize(sample: Sample, width: number, height: number): Sample {
  const masks = changedMasks(sample, (mask) => resampleMask(mask, height, width));
  if (width === sample.width && height === sample.height)
    return sample.masks === undefined ? sample : { ...sample, ...masks };
  return {
    ...sample,
    ...masks,
    data: pillowResize(sample.data, sample.width, sample.height, width, height),
    width,
    height,
    boxes: scaleBoxes(sample, width, height),
  };
}

function scaleBoxes({ boxes, width, height }: Sample, toWidth: number, toHeight: number): Float32Array {
  return Float32Array.from(boxes, (c, i) => (i % 2 === 0 ? (c * toWidth) / width : (c * toHeight) / height));
}

/** Flips left and right. */
export function flipHorizontally(sample: Sample): Sample {
  const { width, height } = sample;
  const data = new Uint8Array(sample.data.length);
  for (let y = 0; y < height; y++) {
    let from = (y * width + width - 1) * 3;
    let to = y * width * 3;
    for (let x = 0; x < width; x++, from -= 3, to += 3) {
      data[to] = sample.data[from];
      data[to + 1] = sample.data[from + 1];
      data[to + 2] = sample.data[from + 2];
    }
  }
  const boxes = mapBoxes(sample.boxes, ([l, t, r, b]) => [width - r, t, width - l, b]);
  return { ...sample, ...changedMasks(sample, mirrorMask), data, boxes };
}

/** Flips top and bottom. */
export function flipVertically(sample: Sample): Sample {
  const { width, height } = sample;
  const stride = width * 3;
  const data = new Uint8Array(sample.data.length);
  for (let y = 0; y < height; y++)
    data.set(sample.data.subarray(y * stride, (y + 1) * stride), (height - 1 - y) * stride);
  const boxes = mapBoxes(sample.boxes, ([l, t, r, b]) => [l, height - b, r, height - t]);
  return { ...sample, ...changedMasks(sample, invertMask), data, boxes };
}

/**
 * Resizes image and boxes to `width` × `height` and cuts out a window; boxes are clipped to it, those outside are
 * dropped. Only the window is computed: the whole of a strip of 2×2000 pixels, resized to a width of 600, would have
 * 600×600000.
 * @internal for tests
 */
export function resizeAndCrop(sample: Sample, width: number, height: number, window: Window): Sample {
  const resized = scaleBoxes(sample, width, height);
  const { left, top } = window;
  return keepInside({
    data: pillowResize(sample.data, sample.width, sample.height, width, height, window),
    width: window.width,
    height: window.height,
    labels: sample.labels,
    ...changedMasks(sample, (mask) => resizeAndCropMask(mask, width, height, window)),
    boxes: mapBoxes(resized, ([l, t, r, b]) => [l - left, t - top, r - left, b - top]),
  });
}

function resizeAndCropMask(mask: Mask, width: number, height: number, window: Window): Mask {
  const rows = nearestPixels(mask.height, height).subarray(window.top, window.top + window.height);
  const columns = nearestPixels(mask.width, width).subarray(window.left, window.left + window.width);
  return gatherMask(mask, rows, columns);
}

/**
 * Clips boxes to the image and drops objects whose boxes are empty then. A mask may be empty where a box is not: the
 * object stays.
 */
export function keepInside(sample: Sample): Sample {
  const boxes: number[] = [];
  const labels: number[] = [];
  const masks: Mask[] = [];
  for (let i = 0; i < sample.labels.length; i++) {
    const [l, t, r, b] = sample.boxes.subarray(i * 4, i * 4 + 4);
    const box = [Math.max(0, l), Math.max(0, t), Math.min(sample.width, r), Math.min(sample.height, b)];
    if (box[2] <= box[0] || box[3] <= box[1]) continue;
    boxes.push(...box);
    labels.push(sample.labels[i]);
    if (sample.masks !== undefined) masks.push(sample.masks[i]);
  }
  return {
    ...sample,
    ...(sample.masks === undefined ? {} : { masks }),
    boxes: Float32Array.from(boxes),
    labels: Int32Array.from(labels),
  };
}

function mapBoxes(boxes: Float32Array, map: (box: number[]) => number[]): Float32Array {
  const out = new Float32Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) out.set(map([boxes[i], boxes[i + 1], boxes[i + 2], boxes[i + 3]]), i);
  return out;
}

/** Lengths of the short side, in pixels, that an image is resized to before the crop. */
const jitterSides = [400, 500, 600] as const;

/** A resize and a crop. */
export interface Jitter {
  /** Size that the image is resized to before the crop. */
  width: number;
  height: number;
  /** Where the window is that is cut out, and its shorter side. */
  left: number;
  top: number;
  cut: number;
}

/** Rounds halves to the even neighbour, as Python does. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x);
}

/**
 * Draws the scale jitter of a training image, as 1.11.2 does (`rfdetr.datasets._torchvision`). With probability ½
 * there is none (null). Otherwise the short side becomes 400, 500 or 600 pixels, and a square is cut out at a uniform
 * place; its side is uniform from min(384, m) to m, where m = min(600, width, height). For a model that sees
 * rectangles, which the package does not train, the window has their ratio, and this holds for its shorter side.
 * @param aspect width over height of the window
 * @internal for tests
 */
export function drawJitter(width: number, height: number, rng: Rng, aspect = 1): Jitter | null {
  if (rng.chance(0.5)) return null;
  const short = rng.choice(jitterSides);
  const least = Math.min(width, height);
  const resized = { width: roundEven((short * width) / least), height: roundEven((short * height) / least) };
  const [wide, high] = ratios(aspect);
  const most = Math.max(1, Math.floor(Math.min(600, resized.width / wide, resized.height / high)));
  const cut = rng.integer(Math.min(384, most), most);
  const window = windowOf(cut, aspect);
  const [left, top] = [resized.width - window.width, resized.height - window.height];
  return { ...resized, left: rng.integer(0, left), top: rng.integer(0, top), cut };
}

/** Width and height of a window as multiples of its shorter side. */
const ratios = (aspect: number): [wide: number, high: number] => [Math.max(1, aspect), Math.max(1, 1 / aspect)];

function windowOf(cut: number, aspect: number): { width: number; height: number } {
  const [wide, high] = ratios(aspect);
  return { width: Math.floor(cut * wide), height: Math.floor(cut * high) };
}

/** Resizes an image after the resize and crop of {@link drawJitter}. */
export function scaleJitter(sample: Sample, toWidth: number, toHeight: number, rng: Rng): Sample {
  const aspect = toWidth / toHeight;
  const drawn = drawJitter(sample.width, sample.height, rng, aspect);
  if (drawn === null) return resize(sample, toWidth, toHeight);
  const { width, height, left, top, cut } = drawn;
  return resize(resizeAndCrop(sample, width, height, { left, top, ...windowOf(cut, aspect) }), toWidth, toHeight);
}
