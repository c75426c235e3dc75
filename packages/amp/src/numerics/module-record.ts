// Records of the values of modules and weights in a watched step.

/**
 * How far the values of a module stay from the limits of a dtype, in bits: 3 bits are a factor of 8. Positive: there is
 * room. Negative: beyond the limit. Infinite where there is nothing that could cross it.
 */
export interface Headroom {
  /** log2(largest number of the dtype / largest absolute value). Minus infinity where a value is not finite. */
  overflow: number;
  /**
   * log2(v / smallest normal number of the dtype), rounded down, for the value v that 1 % of the values other than zero
   * stay below. Negative: these values lose bits. Below −10 in float16, and −7 in bfloat16, they become zero.
   */
  underflow: number;
}

/** The largest absolute value of a module in a watched step, and where it stands. */
export interface LargestValue {
  /** With its sign. */
  value: number;
  /** Of the tensor that holds it: a module may have several. */
  dtype: string;
  /** Its index in the tensor, such as `[image, token, channel]`. */
  index: number[];
  /** The image that made it, by its place among those of the step; null where no single image did. */
  image: number | null;
}

/** The statistics of one module in a watched step. */
export interface ModuleRecord {
  path: string;
  /** The dtype of the values, or several of them, separated by spaces. */
  dtype: string;
  /** The largest absolute value; NaN where a value was NaN. */
  amax: number;
  /** The share of the sampled values, 0 to 1, that are NaN or infinite. */
  non_finite: number;
  /** The share that float16 rounds to zero, although they are not zero. */
  fp16_flush: number;
  /** The share that float16 keeps with fewer bits. */
  fp16_subnormal: number;
  /** The share beyond the range of float16. */
  fp16_saturate: number;
  /** The share that is subnormal in float32, and so nearly lost in bfloat16. */
  bf16_flush: number;
  /** Counts by binary exponent: `counts[i]` values have 2^(first+i) ≤ |x| < 2^(first+i+1). */
  exponents: { first: number; counts: number[] };
  largest: LargestValue;
}

/** How one optimizer step moved the weights of one parameter. */
export interface UpdateRecord {
  name: string;
  /** ‖Δw‖ / ‖w‖; 0 where all weights are zero. */
  ratio: number;
  /**
   * The share of the changed weights, 0 to 1, whose value in bfloat16 did not change. Bfloat16 master weights would
   * have lost these changes.
   */
  bf16_lost: number;
}
