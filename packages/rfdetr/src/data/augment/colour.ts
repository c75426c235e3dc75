// Changes of colour. Boxes do not change. Bytes are truncated, not rounded, where Albumentations truncates them.
import type { Sample } from "../images/geometry.js";

const clamp = (value: number): number => Math.min(Math.max(value, 0), 255);

/** Applies `map` to each byte through a table; results are clamped and truncated to bytes. */
function through(sample: Sample, map: (value: number) => number): Sample {
  const table = Uint8Array.from({ length: 256 }, (_, value) => Math.trunc(clamp(Math.fround(map(value)))));
  const data = new Uint8Array(sample.data.length);
  for (let i = 0; i < data.length; i++) data[i] = table[sample.data[i]];
  return { ...sample, data };
}

/** Each byte becomes value · factor + offset. */
export function multiplyAdd(sample: Sample, factor: number, offset: number): Sample {
  return factor === 1 && offset === 0 ? sample : through(sample, (value) => value * factor + offset);
}

/** Mean over all bytes. */
export function meanOf({ data }: Sample): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i];
  return sum / data.length;
}

/** The grey value of each pixel: weights of ITU-R BT.601 in fixed point. */
function greyLevels({ data }: Sample): Uint8Array {
  const grey = new Uint8Array(data.length / 3);
  for (let i = 0, at = 0; i < grey.length; i++, at += 3)
    grey[i] = (data[at] * 9798 + data[at + 1] * 19235 + data[at + 2] * 3735 + 16384) >> 15;
  return grey;
}

/** Replaces each pixel by its grey value. */
export function toGrey(sample: Sample): Sample {
  const grey = greyLevels(sample);
  const data = new Uint8Array(sample.data.length);
  for (let i = 0; i < grey.length; i++) data.fill(grey[i], i * 3, i * 3 + 3);
  return { ...sample, data };
}

/** Scales the distance of each byte from the image's mean grey by `factor`. */
export function contrast(sample: Sample, factor: number): Sample {
  const grey = greyLevels(sample);
  const mean = grey.reduce((sum, value) => sum + value, 0) / grey.length;
  return multiplyAdd(sample, factor, mean * (1 - factor));
}

/** Scales the distance of each pixel from its own grey by `factor`. */
export function saturation(sample: Sample, factor: number): Sample {
  if (factor === 1) return sample;
  const grey = greyLevels(sample);
  const data = new Uint8Array(sample.data.length);
  for (let i = 0; i < data.length; i++)
    data[i] = Math.round(clamp(sample.data[i] * factor + grey[Math.floor(i / 3)] * (1 - factor)));
  return { ...sample, data };
}

/** Shifts hue (in units of two degrees, modulo 180), saturation and value (0 to 255). Greys stay grey. */
export function shiftHsv(sample: Sample, hue: number, sat: number, value: number): Sample {
  if (hue === 0 && sat === 0 && value === 0) return sample;
  const data = new Uint8Array(sample.data.length);
  for (let i = 0; i < data.length; i += 3) {
    let [h, s, v] = toHsv(sample.data[i], sample.data[i + 1], sample.data[i + 2]);
    h = Math.trunc((((h + hue) % 180) + 180) % 180);
    if (s > 0) s = Math.trunc(clamp(s + sat));
    v = Math.trunc(clamp(v + value));
    fromHsv(h, s, v, data, i);
  }
  return { ...sample, data };
}

/** Hue in units of two degrees, saturation and value as bytes. */
function toHsv(r: number, g: number, b: number): [h: number, s: number, v: number] {
  const v = Math.max(r, g, b);
  const range = v - Math.min(r, g, b);
  // Fixed point with twelve fractional bits, as in OpenCV: another rounding of the hue changes a byte by up to eight.
  const divided = (value: number, full: number, by: number): number =>
    (value * Math.round((full * 4096) / by) + 2048) >> 12;
  if (range === 0) return [0, 0, v];
  const sextants = v === r ? g - b : v === g ? b - r + 2 * range : r - g + 4 * range;
  const h = divided(sextants, 30, range);
  return [h < 0 ? h + 180 : h, divided(range, 255, v), v];
}

function fromHsv(h: number, s: number, v: number, out: Uint8Array, at: number): void {
  const sextant = Math.floor(h / 30);
  const rest = h / 30 - sextant;
  const share = s / 255;
  const [p, q, t] = [v * (1 - share), v * (1 - share * rest), v * (1 - share * (1 - rest))];
  const [r, g, b] = [
    [v, t, p],
    [q, v, p],
    [p, v, t],
    [p, q, v],
    [t, p, v],
    [v, p, q],
  ][sextant % 6];
  out[at] = Math.round(r);
  out[at + 1] = Math.round(g);
  out[at + 2] = Math.round(b);
}
