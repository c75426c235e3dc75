import { noGrad, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, it } from "vitest";
import { uniforms } from "../instruments/deterministic-fill.js";
import { near } from "../testing/near.js";
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
  it("starts with offsets that point away from the centre, a step further each point", () => {
    near((new MSDeformAttn(4, 1, 2, 2).samplingOffsets.bias as Tensor).detach(), [1, 0, 2, 0, -1, 0, -2, 0]);
  });

  it("gives the numbers of the reference", () => {
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
            0.227683, -1.003004, 0.241777, 0.752112, -0.15708, -0.475122, 0.796545, 1.993449, -0.803449, -0.08472, -0.894465, 1.837033,
            0.139766, 0.582756, 1.177059, 2.697667,
          ],
        );
      }),
    );
  });
});
