// The range of a tensor's values: extremes, a histogram of binary exponents, and what is not finite.
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";

/**
 * Bins of the histogram. Bin e counts the float32 values with 2^(e−127) ≤ |x| < 2^(e−126). Bin 0 counts zeros and
 * subnormals, bin 255 infinities and NaN.
 */
const exponentBins = 256;
const bias = 127;

/** The most values that the histogram counts. Larger tensors are sampled evenly. */
const sampleSize = 1 << 16;

/** The range of a tensor's values, or of several tensors together. */
export interface ValueRange {
  /** The largest absolute value. Like `min` and `max`, it is NaN where a value is NaN. */
  amax: number;
  min: number;
  max: number;
  /** The number of all elements. */
  elements: number;
  /** The number of elements in the sample, which `exponents` and `zeros` count. */
  sampled: number;
  /**
   * Counts by binary exponent: bin e has the values with 2^(e−127) ≤ |x| < 2^(e−126), bin 0 zeros and float32
   * subnormals, bin 255 infinities and NaN.
   */
  exponents: Float64Array;
  /** The number of zeros in the sample. */
  zeros: number;
}

/**
 * The range of a floating-point tensor of any dtype and shape. The extremes are exact. The rest is counted in an even
 * sample of at most 65536 elements.
 */
export function rangeOf(x: Tensor): ValueRange {
  return noGrad(() =>
    scope(() => {
      const elements = x.numel;
      const range: ValueRange = {
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

/**
 * The largest absolute value of a tensor with its sign, and its index: the first where several are as large. A value
 * that is not a number counts as larger than all others.
 * @param range the range of the tensor
 */
export function largestOf(x: Tensor, { min, max }: { min: number; max: number }): { value: number; index: number[] } {
  if (x.numel === 0) return { value: 0, index: [] };
  const negative = Math.abs(min) > Math.abs(max);
  const value = negative ? min : max;
  let rest = noGrad(() => scope(() => placeOf(x.detach().flatten(), value, negative ? ops.amin : ops.amax)));
  const index = x.shape.toReversed().map((size) => {
    const at = rest % size;
    rest = Math.floor(rest / size);
    return at;
  });
  return { value, index: index.toReversed() };
}

/**
 * The first place of an extreme value in a vector. `argmax` takes fifty times as long as `amax` for low precision: so
 * the extremes of rows are computed, and the first row that has the value is read.
 */
function placeOf(flat: Tensor, value: number, extremes: typeof ops.amax): number {
  const size = Math.ceil(Math.sqrt(flat.numel));
  const rows = Math.floor(flat.numel / size);
  const ofRows = find(extremes(flat.narrow(0, 0, rows * size).view(rows, size), { dim: [1] }), value);
  const start = (ofRows < 0 ? rows : ofRows) * size;
  return start + find(flat.narrow(0, start, Math.min(size, flat.numel - start)), value);
}

/** The first place of a value in a vector; −1 where it is not. */
function find(vector: Tensor, value: number): number {
  const values = (vector.dtype === "float64" ? vector : vector.to("float32")).toArray() as Float32Array | Float64Array;
  return Number.isNaN(value) ? values.findIndex(Number.isNaN) : values.indexOf(value);
}

/** Adds to one bin. */
function count(bins: Float64Array, bin: number, values: number): void {
  bins[bin] = (bins[bin] ?? 0) + values;
}

/** At most {@link sampleSize} elements. Their distance is odd, so that a channel with an even stride is not missed. */
function evenly(x: Tensor): Tensor {
  const elements = x.numel;
  const flat = x.flatten();
  if (elements <= sampleSize) return flat.contiguous();
  const step = Math.ceil(elements / sampleSize) | 1;
  return flat.slice(0, 0, elements, step).contiguous();
}

/** Shares of the sampled values, 0 to 1. */
export interface LostShares {
  /** NaN or infinite. */
  nonFinite: number;
  /** Not zero, but rounded to zero by float16 (below 2^−25). */
  fp16Flush: number;
  /** Kept by float16 with fewer bits (from 2^−25 to 2^−14). */
  fp16Subnormal: number;
  /** Beyond the range of float16 (2^16 and above; its largest value is 65504). */
  fp16Saturate: number;
  /** Subnormal in float32, and so nearly lost in bfloat16. Above that, bfloat16 has the range of float32. */
  bf16Flush: number;
}

/** The shares of a range's values that low precision loses, or that are not finite. */
export function lostShares(range: Pick<ValueRange, "exponents" | "sampled" | "zeros">): LostShares {
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

/** Adds the range of another tensor to `into`. */
export function addRange(into: ValueRange, other: ValueRange): void {
  into.amax = Math.max(into.amax, other.amax);
  into.min = Math.min(into.min, other.min);
  into.max = Math.max(into.max, other.max);
  into.elements += other.elements;
  into.sampled += other.sampled;
  into.zeros += other.zeros;
  other.exponents.forEach((values, bin) => {
    count(into.exponents, bin, values);
  });
}

/**
 * The part of the histogram that is not empty, without zeros and values that are not finite.
 * @returns `counts[i]` values have 2^(first+i) ≤ |x| < 2^(first+i+1)
 */
export function compactExponents(range: Pick<ValueRange, "exponents">): { first: number; counts: number[] } {
  let low = 1;
  let high = 254;
  while (low < 255 && range.exponents[low] === 0) low++;
  while (high > low && range.exponents[high] === 0) high--;
  if (low === 255) return { first: 0, counts: [] };
  return { first: low - bias, counts: Array.from(range.exponents.subarray(low, high + 1)) };
}
