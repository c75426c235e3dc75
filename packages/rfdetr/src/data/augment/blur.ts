// Blur and noise. Boxes do not change.
import type { Rng } from "../../support/random.js";
import type { Sample } from "../images/geometry.js";

/**
 * A normalised Gaussian kernel.
 * @param sigma standard deviation in pixels
 * @param size number of taps, one more if it is even; 0 means 3½ deviations on either side
 */
export function gaussianKernel(sigma: number, size: number): number[] {
  const wanted = size === 0 ? Math.trunc(sigma * 3.5) * 2 + 1 : size;
  const taps = wanted % 2 === 0 ? wanted + 1 : wanted;
  const kernel = Array.from({ length: taps }, (_, i) => Math.exp(-0.5 * ((i - (taps - 1) / 2) / sigma) ** 2));
  const sum = kernel.reduce((total, tap) => total + tap, 0);
  return kernel.map((tap) => tap / sum);
}

/**
 * Convolves rows, then columns. The image is mirrored at its edges; the edge pixel is not repeated
 * (`BORDER_REFLECT_101`).
 */
export function blur(sample: Sample, kernel: readonly number[]): Sample {
  if (kernel.length === 1) return sample;
  const { width, height } = sample;
  const reach = (kernel.length - 1) / 2;
  const rows = new Float32Array(sample.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const to = (y * width + x) * 3;
      for (let k = -reach; k <= reach; k++) {
        const from = (y * width + mirrored(x + k, width)) * 3;
        const tap = kernel[k + reach];
        rows[to] += tap * sample.data[from];
        rows[to + 1] += tap * sample.data[from + 1];
        rows[to + 2] += tap * sample.data[from + 2];
      }
    }
  const stride = width * 3;
  const line = new Float32Array(stride);
  const data = new Uint8Array(sample.data.length);
  for (let y = 0; y < height; y++) {
    line.fill(0);
    for (let k = -reach; k <= reach; k++) {
      const from = mirrored(y + k, height) * stride;
      const tap = kernel[k + reach];
      for (let x = 0; x < stride; x++) line[x] += tap * rows[from + x];
    }
    for (let x = 0; x < stride; x++) data[y * stride + x] = Math.round(line[x]);
  }
  return { ...sample, data };
}

function mirrored(at: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((at % period) + period) % period;
  return place < length ? place : period - place;
}

/**
 * Adds normal noise, mean and deviation in units of a byte: one value for each byte, or one for the three bytes of a
 * pixel.
 */
export function noise(sample: Sample, mean: number, deviation: number, perChannel: boolean, rng: Rng): Sample {
  const data = new Uint8Array(sample.data.length);
  let value = 0;
  for (let i = 0; i < data.length; i++) {
    if (perChannel || i % 3 === 0) value = mean + deviation * rng.normal();
    data[i] = Math.max(0, Math.min(255, sample.data[i] + value));
  }
  return { ...sample, data };
}
