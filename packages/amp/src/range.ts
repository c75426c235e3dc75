// The range of a tensor's values in one look: extremes, what is not finite, and the binary exponents.
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";

/**
 * Binades of float32: bin e holds the values with 2^(e−127) ≤ |x| < 2^(e−126); bin 0 zeros and float32 subnormals, bin
 * 255 infinities and NaN.
 */
const exponentBins = 256;
const bias = 127;

/** Values looked at for the histogram; larger tensors are sampled evenly. Extremes are always exact. */
const sampleSize = 1 << 16;

/** Range of a tensor's values: largest magnitude, shares, histogram of exponents. */
export interface Range {
  /** Largest absolute value; NaN when there is one. */
  amax: number;
  min: number;
  max: number;
  /** Elements of the tensor, and those of the sample that the counts are about. */
  elements: number;
  sampled: number;
  /** Counts by binary exponent, {@link exponentBins} long. */
  exponents: Float64Array;
  zeros: number;
}

/**
 * Looks at a floating tensor of any dtype: one pass of libtorch over the whole for the extremes, the bits of the sample
 * for the rest.
 */
export function rangeOf(x: Tensor): Range {
  return noGrad(() =>
    scope(() => {
      const elements = x.numel;
      const range: Range = {
        amax: 0,
        min: 0,
        max: 0,
        elements,
        sampled: 0,
        exponents: new Float64Array(exponentBins),
        zeros: 0,
      };
      if (elements === 0) return range;
      const [low, high] = ops.aminmax(x.detach());
      range.min = low.item();
      range.max = high.item();
      range.amax = Math.max(Math.abs(range.min), Math.abs(range.max));
      const sample = evenly(x.detach()).to("float32");
      range.sampled = sample.numel;
      const bits = new Uint32Array((sample.toArray() as Float32Array).buffer);
      for (const word of bits) {
        count(range.exponents, (word >>> 23) & 255, 1);
        if ((word & 0x7fffffff) === 0) range.zeros++;
      }
      return range;
    }),
  );
}

function count(bins: Float64Array, bin: number, values: number): void {
  bins[bin] = (bins[bin] ?? 0) + values;
}

/** About {@link sampleSize} elements at an odd distance, so that even strides of channels do not hide any. */
function evenly(x: Tensor): Tensor {
  const elements = x.numel;
  const flat = x.flatten();
  if (elements <= sampleSize) return flat.contiguous();
  const step = Math.ceil(elements / sampleSize) | 1;
  return flat.slice(0, 0, elements, step).contiguous();
}

/** Shares of the sampled values, 0 to 1. */
export interface Shares {
  nonFinite: number;
  /** Rounded to zero in float16 (below 2^−25) though not zero; and kept there with fewer bits only (below 2^−14). */
  fp16Flush: number;
  fp16Subnormal: number;
  /** Beyond float16's 65504. */
  fp16Saturate: number;
  /** Subnormal in float32 and so all but lost in bfloat16; its range above is that of float32. */
  bf16Flush: number;
}

/** Shares of a range's values: not finite, too small, zero. */
export function shares(range: Pick<Range, "exponents" | "sampled" | "zeros">): Shares {
  const total = Math.max(1, range.sampled);
  const between = (low: number, high: number): number =>
    range.exponents.subarray(low, high).reduce((sum, count) => sum + count, 0);
  const tiny = Math.max(0, between(0, 1) - range.zeros);
  return {
    nonFinite: between(255, 256) / total,
    fp16Flush: (tiny + between(1, bias - 25)) / total,
    fp16Subnormal: between(bias - 25, bias - 14) / total,
    fp16Saturate: between(bias + 16, 255) / total,
    bf16Flush: tiny / total,
  };
}

/** Adds what was seen of another tensor. */
export function addRange(into: Range, other: Range): void {
  into.amax = maxOrNaN(into.amax, other.amax);
  into.min = Number.isNaN(into.min) || Number.isNaN(other.min) ? Number.NaN : Math.min(into.min, other.min);
  into.max = maxOrNaN(into.max, other.max);
  into.elements += other.elements;
  into.sampled += other.sampled;
  into.zeros += other.zeros;
  other.exponents.forEach((values, bin) => {
    count(into.exponents, bin, values);
  });
}

const maxOrNaN = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b));

/**
 * The filled part of the histogram: exponent (of the power of two) of its first bin, and the counts from there. Zeros
 * and non-finite values are left out.
 */
export function compactExponents(range: Pick<Range, "exponents">): { first: number; counts: number[] } {
  let low = 1;
  let high = 254;
  while (low < 255 && range.exponents[low] === 0) low++;
  while (high > low && range.exponents[high] === 0) high--;
  if (low === 255) return { first: 0, counts: [] };
  return { first: low - bias, counts: Array.from(range.exponents.subarray(low, high + 1)) };
}
