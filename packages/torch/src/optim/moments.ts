// A moment of AdamW for one parameter: float32, or 8 bits a value (Dettmers et al. 2022, "8-bit Optimizers via
// Block-wise Quantization", arXiv:2110.02861 §2).
import { zeros } from "../create.js";
import type { DType } from "../dtype.js";
import * as ops from "../ops.generated.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";

/** How an optimizer keeps its moments. */
export type MomentFormat = "float32" | "8bit";

/** Values that share a scale, as in bitsandbytes and torchao. */
const block = 256;
/** Tensors with fewer values stay in float32, as in bitsandbytes and torchao: they save nothing. */
const fewest = 4096;

/** Codes of 8 bits with the scales of their blocks. */
export interface Quantized {
  /** uint8, of the tensor's shape: positions in the dynamic map. */
  codes: Tensor;
  /** `[⌈elements / 256⌉]` float32: the largest magnitude of each block of 256 values in memory order. */
  scales: Tensor;
}

/** A float32 tensor of any shape as rows of 256 values; the last row is filled up with zeros. */
function rows(flat: Tensor): Tensor {
  const missing = (block - (flat.numel % block)) % block;
  return (missing === 0 ? flat : ops.constantPadNd(flat, [0, missing])).reshape([-1, block]);
}

/**
 * Rounds each value of a block, divided by the block's largest magnitude, to the nearest value of the dynamic map. As
 * torchao.optim.quant_utils.quantize_8bit_with_qmap, except that no second moment becomes zero that is not: it becomes
 * the smallest value of the map. AdamW divides by its root, and the first moment is still there. A block of zeros has
 * the scale 0. A block with a value that is not finite has the scale NaN, and all of it is NaN when it is read.
 * @param map.signed the map of first moments; otherwise that of second moments, which are never negative
 */
export function quantize(values: Tensor, { signed }: { signed: boolean }): Quantized {
  return scope(() => {
    const [, bounds] = ops.dynamicMap(signed).map((table) => table.to(values.device)) as [Tensor, Tensor];
    const blocks = rows(values.to("float32").reshape([-1]));
    const largest = blocks.abs().amax([1]);
    const finite = ops.isfinite(largest);
    const divisor = ops.where(ops.logicalAnd(finite, largest.gt(0)), largest, 1);
    const scaled = ops.where(finite.unsqueeze(1), blocks.div(divisor.unsqueeze(1)), 0);
    const nearest = ops.bucketize(scaled, bounds, { right: true });
    const codes = (signed ? nearest : ops.maximum(nearest, scaled.gt(0))).to("uint8").reshape([-1]);
    return {
      codes: codes.narrow(0, 0, values.numel).reshape(values.shape).contiguous(),
      scales: ops.where(finite, largest, Number.NaN),
    };
  });
}

/** The float32 values that codes stand for: map[code] · scale. */
export function dequantize({ codes, scales }: Quantized, { signed }: { signed: boolean }): Tensor {
  return scope(() => {
    const map = ops.dynamicMap(signed)[0].to(codes.device);
    const values = map.indexSelect(0, codes.reshape([-1]).to("int32"));
    return rows(values).mul(scales.unsqueeze(1)).reshape([-1]).narrow(0, 0, codes.numel).reshape(codes.shape);
  });
}

/** Bytes that both moments of a float32 parameter with this many elements take. */
export function momentBytes(numel: number, format: MomentFormat): number {
  return isCoded(numel, format) ? 2 * (numel + 4 * Math.ceil(numel / block)) : 8 * numel;
}

const isCoded = (numel: number, format: MomentFormat): boolean => format === "8bit" && numel >= fewest;

/** A moment of one parameter, zero at first. */
export class Moment {
  /** The moment, or its codes. */
  readonly values: Tensor;
  /** The scales of the codes; null where the values are the moment itself. */
  readonly scales: Tensor | null;
  readonly #map: { signed: boolean };
  readonly #dtype: DType;

  constructor(parameter: Tensor, format: MomentFormat, map: { signed: boolean }) {
    const { shape, device, dtype, numel } = parameter;
    this.#map = map;
    this.#dtype = dtype;
    const coded = isCoded(numel, format);
    this.values = keep(zeros(shape, { dtype: coded ? "uint8" : dtype, device }));
    this.scales = coded ? keep(zeros([Math.ceil(numel / block)], { device })) : null;
    this.clear();
  }

  /** The moment in the dtype of its parameter: the tensor itself, or a new one where it is kept as codes. */
  read(): Tensor {
    const { values, scales } = this;
    return scales === null ? values : dequantize({ codes: values, scales }, this.#map).to(this.#dtype);
  }

  /** Takes over another moment of the same shape, and converts it where it is kept otherwise. */
  write(given: Tensor, givenScales: Tensor | null): void {
    const { values, scales } = this;
    scope(() => {
      if (scales !== null && givenScales !== null) {
        values.copy_(given);
        scales.copy_(givenScales);
        return;
      }
      const moment = givenScales === null ? given : dequantize({ codes: given, scales: givenScales }, this.#map);
      if (scales === null) {
        if (moment !== values) values.copy_(moment);
        return;
      }
      const coded = quantize(moment, this.#map);
      values.copy_(coded.codes);
      scales.copy_(coded.scales);
    });
  }

  /** Sets it to zero. */
  clear(): void {
    this.scales?.zero_();
    // The 127 negative values of the map come before its zero.
    this.values.fill_(this.scales !== null && this.#map.signed ? 127 : 0);
  }
}

/** Whether a stored moment fits the shape of a parameter, with or without scales. */
export function fitsParameter(parameter: Tensor, values: Tensor | undefined, scales: Tensor | null): boolean {
  return (
    values?.shape.join() === parameter.shape.join() &&
    (values.dtype === "uint8") === (scales !== null) &&
    (scales === null || (scales.dtype === "float32" && scales.shape.join() === `${Math.ceil(values.numel / block)}`))
  );
}
