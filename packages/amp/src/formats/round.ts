// Rounds float32 tensors to the values of a number format, to the bit.
import { ops, type Tensor, tensor } from "@rfdetr/torch";
import { PrecisionError } from "../errors.js";
import { type ElementFormat, type NumberFormat, numberFormats } from "./number-format.js";

/** Rounded values: the format represents `values` · `scale`. */
export interface Rounded {
  /** Float32, of the shape that was given. */
  values: Tensor;
  /** A scalar, or `[rows, 1]`; null where it is in the values already, being exact in float32. */
  scale: Tensor | null;
}

/** The sign and mantissa bits of float32 are cleared by it: what is left is 2^⌊log2 |x|⌋, or 0 below 2^−126. */
const exponentBits = 0x7f800000;
const powerBelow = (x: Tensor): Tensor => ops.view(ops.bitwiseAnd(ops.view(x, "int32"), exponentBits), "float32");

/**
 * Rounds each element to the nearest value of a format, halves to the even one. Larger ones become the largest; NaN
 * stays NaN.
 * @param x float32, contiguous
 * @throws PrecisionError for another dtype
 */
export function roundElements(x: Tensor, { mantissaBits, minExponent, max }: ElementFormat): Tensor {
  checkDtype(x);
  const inside = x.clamp({ min: -max, max });
  // Every step is a power of two, so that dividing and multiplying by it is exact.
  const step =
    mantissaBits === 0
      ? 1
      : powerBelow(inside)
          .clamp({ min: 2 ** minExponent })
          .mul(2 ** -mantissaBits);
  return ops.round(inside.div(step)).mul(step);
}

/** The largest power of two of a format, as an exponent. */
const maxExponent = ({ max }: ElementFormat): number => Math.floor(Math.log2(max));

/** The largest value of float32, and a scale whose reciprocal over the smallest block scale is one. */
const [largest, smallest] = [(2 - 2 ** -23) * 2 ** 127, 2 ** -120];

/** FP8 scales of blocks: E4M3. */
const blockScale: ElementFormat = numberFormats.fp8.forward;

/**
 * Rounds a matrix to a format. Blocks and rows run along the last dimension, which a product sums over. A last block
 * that is not full counts as filled with zeros. What shares a scale with NaN or infinity becomes NaN by it, as in
 * torchao; in blocks with powers of two, infinity stays infinity and makes the others zero.
 * @param matrix `[rows, columns]`, float32
 * @param elements the values of the format
 * @throws PrecisionError for another dtype
 *
 * @example
 * const format = numberFormats.mxfp8;
 * const { values } = roundMatrix(randn([4, 64]), format.forward, format);
 */
export function roundMatrix(matrix: Tensor, elements: ElementFormat, { scaling }: NumberFormat): Rounded {
  checkDtype(matrix);
  const x = matrix.contiguous();
  // Nothing has no largest value.
  if (x.numel === 0) return { values: roundElements(x, elements), scale: null };
  if (scaling.per === "tensor" || scaling.per === "row") {
    const amax = scaling.per === "row" ? x.abs().amax(-1, true) : x.abs().amax();
    // Of the smallest values max / amax is beyond float32.
    const scale = usable(amax, tensor(elements.max, { device: x.device }).div(amax).clamp({ max: largest }));
    return { values: roundElements(x.mul(scale), elements), scale: ops.reciprocal(scale) };
  }
  const [rows = 0, columns = 0] = x.shape;
  const missing = (scaling.block - (columns % scaling.block)) % scaling.block;
  const padded = missing === 0 ? x : ops.constantPadNd(x, [0, missing]);
  const blocks = padded.view(rows, -1, scaling.block);
  const amax = blocks.abs().amax(-1, true);
  const whole = (values: Tensor): Tensor => values.view(rows, columns + missing).narrow(1, 0, columns);
  if (scaling.per === "powers") {
    const [least, exponent] = [2 ** -127, maxExponent(elements)];
    // As if infinity were 2^128; NaN stays.
    const power = powerBelow(amax)
      .mul(2 ** -exponent)
      .clamp({ max: 2 ** (128 - exponent) });
    const scale = ops.maximum(power, amax.clamp({ min: least, max: least }));
    return { values: whole(roundElements(blocks.div(scale), elements).mul(scale)), scale: null };
  }
  const most = x.abs().amax();
  const all = usable(most, most.div(elements.max * blockScale.max).clamp({ min: smallest }));
  const scale = roundElements(
    amax
      .div(elements.max)
      .div(all)
      .clamp({ min: 2 ** blockScale.minExponent }),
    blockScale,
  );
  return { values: whole(roundElements(blocks.mul(ops.reciprocal(all).div(scale)), elements).mul(scale)), scale: all };
}

/** Zeros are not scaled. */
function usable(amax: Tensor, scale: Tensor): Tensor {
  return ops.where(amax.eq(0), tensor(1, { device: scale.device }), scale);
}

function checkDtype({ dtype }: Tensor): void {
  if (dtype !== "float32")
    throw new PrecisionError(`Expected a float32 tensor to be rounded but received one of ${dtype}`);
}
