// What a golden keeps of a tensor.
import type { Tensor } from "@rfdetr/torch";
import { expect } from "vitest";

/** Written by `tools/reference/_model.py: summary`. */
export interface Summary {
  shape: number[];
  mean: number;
  std: number;
  first: number[];
  last: number[];
}

const numbers = (t: Tensor): number[] => Array.from(t.toArray() as Float64Array);

/** Expects shape, mean, deviation and the numbers at both ends of a golden, to `bound`. */
export function agree(own: Tensor, golden: Summary, name: string, bound: number): void {
  expect(own.shape, name).toEqual(golden.shape);
  const flat = own.flatten();
  const values = [
    flat.mean().item(),
    flat.std(undefined, 0).item(),
    ...numbers(flat.narrow(0, 0, 6)),
    ...numbers(flat.narrow(0, flat.numel - 6, 6)),
  ];
  [golden.mean, golden.std, ...golden.first, ...golden.last].forEach((value, i) => {
    expect(Math.abs(values[i] - value), `${name} ${i}: ${values[i]} against ${value}`).toBeLessThan(bound);
  });
}
