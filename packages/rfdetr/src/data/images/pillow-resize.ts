// Pillow's 8-bit bilinear resize, bit for bit. The package resizes training and validation images with it.

/** Fractional bits of the fixed-point weights, as in Pillow for 8-bit images. */
const digits = 22;

interface Weights {
  /** First input pixel of each output pixel, number of pixels, and `taps` weights each. */
  first: Int32Array;
  count: Int32Array;
  weights: Int32Array;
  taps: number;
}

/**
 * A triangle filter of support one, widened by the scale when shrinking (antialias), normalised and rounded to fixed
 * point, for the output pixels from `start` on, `length` of them.
 */
function bilinearWeights(input: number, output: number, start: number, length: number): Weights {
  const scale = input / output;
  const support = Math.max(scale, 1);
  const taps = Math.ceil(support) * 2 + 1;
  const result: Weights = {
    first: new Int32Array(length),
    count: new Int32Array(length),
    weights: new Int32Array(length * taps),
    taps,
  };
  const row = new Float64Array(taps);
  for (let i = 0; i < length; i++) {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(input, Math.trunc(centre + support + 0.5));
    let sum = 0;
    for (let k = 0; k < end - first; k++) {
      const distance = Math.abs((k + first - centre + 0.5) / support);
      row[k] = distance < 1 ? 1 - distance : 0;
      sum += row[k];
    }
    for (let k = 0; k < end - first; k++) {
      const weight = sum === 0 ? row[k] : row[k] / sum;
      result.weights[i * taps + k] = Math.trunc(weight * 2 ** digits + (weight < 0 ? -0.5 : 0.5));
    }
    result.first[i] = first;
    result.count[i] = end - first;
  }
  return result;
}

/** A part of a picture, in pixels. */
export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

/**
 * Resizes RGB bytes `[height, width, 3]` to `[toHeight, toWidth, 3]`: horizontal pass, rounding to bytes, vertical
 * pass, as `PIL.Image.resize(…, BILINEAR)` does up to Pillow 12. Pillow 13 chooses the order of the passes, so that
 * some bytes may differ by one.
 * @param window part of the result that is wanted: only that is computed and returned; default all of it
 */
export function pillowResize(
  pixels: Uint8Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
  window: Window = { left: 0, top: 0, width: toWidth, height: toHeight },
): Uint8Array {
  const across = toWidth === width ? null : bilinearWeights(width, toWidth, window.left, window.width);
  const down = toHeight === height ? null : bilinearWeights(height, toHeight, window.top, window.height);
  // The rows that the second pass reads.
  const top = down === null ? window.top : down.first[0];
  const last = window.height - 1;
  const end = down === null ? window.top + window.height : down.first[last] + down.count[last];
  const rows =
    across === null
      ? columns(pixels, width, window.left, window.width, top, end)
      : horizontal(pixels, width, across, window.width, top, end);
  return down === null ? rows : vertical(rows, window.width, down, window.height, top);
}

/** Columns of the rows from `top` to `end`, as they are. */
function columns(pixels: Uint8Array, width: number, left: number, count: number, top: number, end: number): Uint8Array {
  const out = new Uint8Array(count * (end - top) * 3);
  for (let y = top; y < end; y++) {
    const from = (y * width + left) * 3;
    out.set(pixels.subarray(from, from + count * 3), (y - top) * count * 3);
  }
  return out;
}

function horizontal(
  pixels: Uint8Array,
  width: number,
  { first, count, weights, taps }: Weights,
  toWidth: number,
  top: number,
  end: number,
): Uint8Array {
  const out = new Uint8Array(toWidth * (end - top) * 3);
  const half = 1 << (digits - 1);
  let to = 0;
  for (let y = top; y < end; y++) {
    const line = y * width * 3;
    for (let x = 0; x < toWidth; x++) {
      let r = half;
      let g = half;
      let b = half;
      const base = x * taps;
      let from = line + first[x] * 3;
      for (let k = 0, n = count[x]; k < n; k++, from += 3) {
        const w = weights[base + k];
        r += pixels[from] * w;
        g += pixels[from + 1] * w;
        b += pixels[from + 2] * w;
      }
      out[to++] = r >> digits;
      out[to++] = g >> digits;
      out[to++] = b >> digits;
    }
  }
  return out;
}

/** @param top the row of the picture that is the first of `pixels` */
function vertical(
  pixels: Uint8Array,
  width: number,
  { first, count, weights, taps }: Weights,
  toHeight: number,
  top: number,
): Uint8Array {
  const stride = width * 3;
  const out = new Uint8Array(stride * toHeight);
  const sums = new Int32Array(stride);
  for (let y = 0; y < toHeight; y++) {
    sums.fill(1 << (digits - 1));
    for (let k = 0; k < count[y]; k++) {
      const w = weights[y * taps + k];
      const from = (first[y] - top + k) * stride;
      for (let x = 0; x < stride; x++) sums[x] += pixels[from + x] * w;
    }
    const to = y * stride;
    for (let x = 0; x < stride; x++) out[to + x] = sums[x] >> digits;
  }
  return out;
}
