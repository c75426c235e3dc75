import { ops } from "@rfdetr/torch";
import { expect, it } from "vitest";
import { benchOps } from "../../instruments/bench/bench-ops.js";
import { operatorCells } from "./bench-kinds.js";

it("gives the rate of an operator at the shortest time, which stands beside it", () => {
  const side = 64;
  const shape = [side, side];
  const product = { op: "matmul", inputs: [shape, shape], flops: 2 * side ** 3, run: ops.matmul };
  const rows = benchOps("cpu", 5, [product]);
  expect(rows.map(({ dtype }) => dtype)).toEqual(["float32", "bfloat16"]);
  for (const { gflops, milliseconds } of rows) {
    expect(milliseconds.min).toBeLessThanOrEqual(milliseconds.median);
    expect(gflops).toBeCloseTo(product.flops / milliseconds.min / 1e6);
  }
  const row = { op: "matmul", dtype: "float32", milliseconds: { median: 2, min: 1.5 }, gflops: 99.7 } as const;
  expect(operatorCells(row)).toEqual(["matmul", "float32", "2.00", "1.50", "100"]);
  expect(operatorCells({ ...row, gflops: null }).at(-1)).toBe("");
});
