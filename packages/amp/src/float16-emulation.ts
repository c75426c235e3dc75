// Float16 products where the CPU has no units for them: what a tensor core computes, in float32.
import { type DType, Tensor } from "@rfdetr/torch";
import type { Casts } from "./casts.js";

/**
 * Operands rounded to `dtype`, sums in float32, the result rounded. Backward passes through the same roundings.
 * @param args of the product
 * @param next computes the product of float32 operands
 * @returns the operands as the product read them, and the rounded result
 */
export function emulate(
  args: readonly unknown[],
  dtype: DType,
  casts: Casts,
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
