// Headroom: how far the values of a module stay from the limits of float16 and bfloat16.
import type { Headroom, ModuleRecord } from "./module-record.js";

/** The largest finite number and the exponent of the smallest normal number of a dtype. */
export const limits = {
  float16: { largest: 65504, smallest: -14 },
  bfloat16: { largest: (2 - 2 ** -7) * 2 ** 127, smallest: -126 },
  float32: { largest: (2 - 2 ** -23) * 2 ** 127, smallest: -126 },
} as const;

/** The share of the values other than zero that may lie below what counts as the smallest of them. */
const smallShare = 0.01;

/**
 * The headroom of a module in float16 and bfloat16, from its largest value and its histogram of exponents.
 * @param record a module of a watched step
 * @param scale the loss scale, to be taken out of gradients; 1, the default, leaves it in
 * @example
 * import { headroomOf } from "@rfdetr/amp/records";
 * const module = { amax: 512, exponents: { first: -12, counts: [40, 0, 60] } };
 * console.log(headroomOf(module).fp16); // { overflow: 6.999…, underflow: 2 }
 */
export function headroomOf(
  { amax, exponents }: Pick<ModuleRecord, "amax" | "exponents">,
  scale = 1,
): { fp16: Headroom; bf16: Headroom } {
  const bits = Math.log2(scale);
  const small = smallExponent(exponents) - bits;
  const room = ({ largest, smallest }: { largest: number; smallest: number }): Headroom => ({
    overflow: Number.isNaN(amax) ? Number.NEGATIVE_INFINITY : Math.log2(largest / amax) + bits,
    underflow: small - smallest,
  });
  return { fp16: room(limits.float16), bf16: room(limits.bfloat16) };
}

/** The exponent that {@link smallShare} of the values stay below; infinite where there are only zeros. */
function smallExponent({ first, counts }: ModuleRecord["exponents"]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let below = 0;
  for (const [i, count] of counts.entries()) {
    below += count;
    if (below > smallShare * total) return first + i;
  }
  return Number.POSITIVE_INFINITY;
}
