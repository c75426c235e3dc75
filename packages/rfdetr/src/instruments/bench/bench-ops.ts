// Measures the operators that take most of a detector's time, in float32 and bfloat16.
import { type DType, manualSeed, noGrad, ops, randn, scope, type Tensor } from "@rfdetr/torch";
import { measure, type Spread, spread } from "../../support/statistics.js";

/** Measurements of one operator. */
export interface OperatorBench {
  op: string;
  dtype: DType;
  milliseconds: Spread;
  /** 10⁹ operations a second in the shortest run; null for operators that are bound by memory. */
  gflops: number | null;
}

interface Case {
  op: string;
  inputs: number[][];
  flops: number | null;
  run: (...inputs: Tensor[]) => Tensor;
}

const cases: readonly Case[] = [
  {
    op: "matmul 1024³",
    inputs: [
      [1024, 1024],
      [1024, 1024],
    ],
    flops: 2 * 1024 ** 3,
    run: (a, b) => ops.matmul(a, b),
  },
  {
    op: "conv2d 3×3 128→128 at 64²",
    inputs: [
      [1, 128, 64, 64],
      [128, 128, 3, 3],
    ],
    flops: 2 * 128 * 128 * 9 * 64 * 64,
    run: (x, w) => ops.conv2d(x, w, { padding: 1 }),
  },
  { op: "layer_norm 2304×384", inputs: [[2304, 384]], flops: null, run: (x) => ops.layerNorm(x, [384]) },
  { op: "softmax 6×577×577", inputs: [[6, 577, 577]], flops: null, run: (x) => x.softmax(-1) },
  { op: "gelu 2304×1536", inputs: [[2304, 1536]], flops: null, run: (x) => ops.gelu(x) },
  {
    op: "grid_sample 16×16×24² at 300×2",
    inputs: [
      [16, 16, 24, 24],
      [16, 300, 2, 2],
    ],
    flops: null,
    run: (x, grid) => ops.gridSampler2d(x, grid, 0, 0, false),
  },
];

/** A run that takes longer has nothing left to warm. */
const slow = 0.5;

/**
 * Measures every case in both dtypes: `count` runs after three that are not timed, or one where it is slow.
 * @param list what is measured; default: what takes most of a detector's time
 */
export function benchOps(device: string, count: number, list: readonly Case[] = cases): OperatorBench[] {
  manualSeed(0);
  return noGrad(() =>
    list.flatMap(({ op, inputs, flops, run }) =>
      (["float32", "bfloat16"] as const).map((dtype) =>
        scope(() => {
          const tensors = inputs.map((shape) => randn(shape, { device }).to(dtype));
          const once = (): void =>
            void scope(() =>
              run(...tensors)
                .flatten()
                .narrow(0, 0, 1)
                .item(),
            );
          const [first] = measure(once, 1, 0);
          const seconds = spread(measure(once, count, first > slow ? 0 : 2));
          return {
            op,
            dtype,
            milliseconds: { median: seconds.median * 1000, min: seconds.min * 1000 },
            gflops: flops === null ? null : flops / seconds.min / 1e9,
          };
        }),
      ),
    ),
  );
}
