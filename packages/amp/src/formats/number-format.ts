// Number formats that a machine may not have: which values each holds, and how it scales a tensor into their range.

/** Floating-point values of few bits. */
export interface ElementFormat {
  /** Bits after the leading one. */
  mantissaBits: number;
  /** Exponent of the smallest normal value; smaller ones have fewer bits. */
  minExponent: number;
  /** The largest value; larger ones become it. */
  max: number;
}

/** FP8 with four exponent bits (Micikevicius et al. 2022, arXiv:2209.05433). */
const e4m3: ElementFormat = { mantissaBits: 3, minExponent: -6, max: 448 };
/** FP8 with five exponent bits. */
const e5m2: ElementFormat = { mantissaBits: 2, minExponent: -14, max: 57344 };
/** FP4 (OCP Microscaling Formats 1.0, §5.3.3). */
const e2m1: ElementFormat = { mantissaBits: 1, minExponent: 0, max: 6 };
/** Whole numbers from −127 to 127: one step for all. */
const int8: ElementFormat = { mantissaBits: 0, minExponent: 0, max: 127 };

/**
 * How values get into the range of the elements:
 * - `tensor`: one float32 scale, max / amax of the tensor.
 * - `row`: one such scale for each row of the product.
 * - `powers`: for each block along the sum of the product, the power of two that is not above amax / the largest power
 *   of two of the elements.
 * - `fp8`: for each block an FP8 scale (E4M3), on top of one float32 scale for the tensor.
 */
export type Scaling = { per: "tensor" } | { per: "row" } | { per: "powers" | "fp8"; block: number };

/** A way to multiply matrices in few bits. */
export interface NumberFormat {
  /** Of weights and activations. */
  forward: ElementFormat;
  /** Of the gradients that arrive in backward. */
  backward: ElementFormat;
  scaling: Scaling;
  /** One line about it. */
  about: string;
}

/**
 * The formats by name. In each, a linear layer multiplies rounded weights and activations, and backward multiplies
 * rounded gradients with both; sums are float32. Sources: arXiv:2209.05433 and the current scaling of Transformer
 * Engine (`fp8`), the recipe "rowwise" of torchao (`fp8-rows`), OCP Microscaling Formats 1.0, §6.3 (`mxfp8`, `mxfp4`),
 * NVFP4 of torchao (`nvfp4`), Jacob et al. 2018, arXiv:1712.05877 (`int8`).
 */
export const numberFormats = {
  fp8: {
    forward: e4m3,
    backward: e5m2,
    scaling: { per: "tensor" },
    about: "E4M3 forward, E5M2 gradients, one scale for each tensor: Hopper GPUs",
  },
  "fp8-rows": { forward: e4m3, backward: e4m3, scaling: { per: "row" }, about: "E4M3, one scale for each row" },
  mxfp8: {
    forward: e4m3,
    backward: e4m3,
    scaling: { per: "powers", block: 32 },
    about: "E4M3, a power of two for each 32 values: Blackwell GPUs, OCP Microscaling",
  },
  mxfp4: {
    forward: e2m1,
    backward: e2m1,
    scaling: { per: "powers", block: 32 },
    about: "E2M1, a power of two for each 32 values: OCP Microscaling",
  },
  nvfp4: {
    forward: e2m1,
    backward: e2m1,
    scaling: { per: "fp8", block: 16 },
    about: "E2M1, an FP8 scale for each 16 values and one for the tensor: Blackwell GPUs",
  },
  int8: { forward: int8, backward: int8, scaling: { per: "row" }, about: "whole numbers, one scale for each row" },
} as const satisfies Readonly<Record<string, NumberFormat>>;

/** Name of a number format. */
export type NumberFormatName = keyof typeof numberFormats;
/** Names of all number formats. */
export const numberFormatNames = Object.keys(numberFormats) as NumberFormatName[];
