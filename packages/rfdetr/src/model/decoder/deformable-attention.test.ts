import {
  decompositionOf,
  manualSeed,
  noGrad,
  operator,
  ops,
  rand,
  randn,
  scope,
  type Tensor,
  tensor,
} from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { uniforms } from "../../instruments/peers/deterministic-fill.js";
import { near } from "../../testing/near.js";
import { MSDeformAttn } from "./deformable-attention.js";

const wide = { dtype: "float64" } as const;
const filled = (key: string, shape: number[]): Tensor =>
  tensor(
    uniforms(
      key,
      shape.reduce((a, b) => a * b, 1),
    ),
    { shape, ...wide },
  );

describe("multi-scale deformable attention", () => {
  it("starts with one direction of offsets for each head, and with length p + 1 for point p", () => {
    near((new MSDeformAttn(4, 1, 2, 2).samplingOffsets.bias as Tensor).detach(), [1, 0, 2, 0, -1, 0, -2, 0]);
  });

  it("gives the numbers of the Python package", () => {
    noGrad(() =>
      scope(() => {
        const module = new MSDeformAttn(8, 1, 2, 2).to("float64");
        for (const [key, p] of module.namedParameters()) p.copy_(filled(key, p.shape));
        const reference = tensor(
          [
            [
              [0.3, 0.4, 0.2, 0.3],
              [0.7, 0.6, 0.5, 0.4],
            ],
          ],
          wide,
        );
        near(
          module.call(filled("query", [1, 2, 8]), reference, filled("input", [1, 12, 8]), [[3, 4]]) as Tensor,
          [
            0.227683, -1.003004, 0.241777, 0.752112, -0.15708, -0.475122, 0.796545, 1.993449, -0.803449, -0.08472,
            -0.894465, 1.837033, 0.139766, 0.582756, 1.177059, 2.697667,
          ],
        );
      }),
    );
  });
});

describe("the decomposition of rfdetr::deformable_attention", () => {
  it("gives the values and gradients of the fused operator, up to rounding", () => {
    manualSeed(3);
    const shapes = [4, 5, 2, 3];
    const [batch, heads, channels, queries, points] = [2, 3, 4, 6, 2];
    const inputs = [
      randn([batch, 26, heads, channels]),
      rand([batch, queries, 4]),
      randn([batch, queries, heads, 2, points, 2]),
      randn([batch, queries, heads, 2 * points]),
    ];
    const decomposition = decompositionOf(operator("rfdetr::deformable_attention"));
    const run = (call: (value: Tensor, reference: Tensor, offsets: Tensor, logits: Tensor) => Tensor): number[][] =>
      scope(() => {
        const leaves = inputs.map((input) => {
          const leaf = input.detach().clone();
          leaf.requiresGrad = true;
          return leaf;
        });
        const out = call(leaves[0], leaves[1], leaves[2], leaves[3]);
        out.pow(2).sum().backward();
        return [out, ...leaves.map((leaf) => leaf.grad as Tensor)].map((t) => [
          ...(t.flatten().toArray() as Float32Array),
        ]);
      });
    const fused = run((value, reference, offsets, logits) =>
      ops.deformableAttention(value, shapes, reference, offsets, logits),
    );
    const parts = run((value, ...rest) => decomposition?.run([value, shapes, ...rest]) as Tensor);
    expect(decomposition?.exact([])).toBe(false);
    parts.forEach((numbers, i) => {
      expect(numbers.length).toBe(fused[i].length);
      numbers.forEach((number, j) => {
        expect(Math.abs(number - fused[i][j])).toBeLessThan(1e-4 * Math.max(1, Math.abs(number)));
      });
    });
  });
});
