// Products in a precision that the CPU has no units for: float32 computes what such a unit computes.
import { type DType, Tensor } from "@rfdetr/torch";
import type { CastCache } from "./cast-cache.js";

/**
 * Computes a product as a matrix unit does: operands rounded to `dtype`, sums in float32, result rounded to `dtype`.
 * Backward passes through the same roundings.
 * @param args the arguments of the product
 * @param next computes the product of float32 operands
 * @returns the rounded operands in float32, and the result in `dtype`
 */
export function emulate(
  args: readonly unknown[],
  dtype: DType,
  casts: CastCache,
  next: (args: unknown[]) => unknown,
): { args: unknown[]; result: unknown } {
  const round = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(round);
    if (!(value instanceof Tensor)) return value;
    const rounded = casts.one(value, dtype);
    return rounded.dtype === dtype ? casts.convert(rounded, "float32") : rounded;
  };
  const rounded = args.map(round);
  const wide = next(rounded);
  return {
    args: rounded,
    result: wide instanceof Tensor && wide.dtype === "float32" ? casts.convert(wide, dtype) : wide,
  };
}
