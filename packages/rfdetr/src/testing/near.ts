// Comparison with printed golden numbers.
import type { Tensor } from "@rfdetr/torch";

/** @throws Error naming the first element of `own` that is off its golden number; six printed decimals allow 1e-6. */
export function near(own: Tensor, golden: number[], tolerance = 1e-6): void {
  const values = Array.from(own.flatten().toArray() as Float64Array);
  if (values.length !== golden.length)
    throw new Error(`Expected ${golden.length} values but received ${values.length}`);
  const wrong = values.findIndex((value, i) => !(Math.abs(value - golden[i]) < tolerance));
  if (wrong >= 0)
    throw new Error(`Expected ${golden[wrong]} ± ${tolerance} for element ${wrong} but received ${values[wrong]}`);
}
