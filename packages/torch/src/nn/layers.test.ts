import { describe, expect, it } from "vitest";
import { gradients, nn, ops, randn, scope, type Tensor } from "../index.js";

describe("Conv2d", () => {
  it.each([
    ["patches", { kernel: 4, stride: 4, height: 12, width: 20, bias: true }],
    ["patches that leave rows and columns over", { kernel: 4, stride: 4, height: 15, width: 13, bias: true }],
    ["single pixels", { kernel: 1, stride: 1, height: 5, width: 7, bias: false }],
    ["patches that overlap", { kernel: 3, stride: 2, height: 9, width: 9, bias: true }],
  ] as const)("is aten::conv2d on %s, with its gradients", (_, { kernel, stride, height, width, bias }) => {
    scope(() => {
      const layer = new nn.Conv2d(3, 20, kernel, { stride, bias });
      const x = randn([2, 3, height, width]);
      x.requiresGrad = true;
      const leaves = [x, layer.weight, ...(layer.bias === null ? [] : [layer.bias])];
      const judge = ops.conv2d(x, layer.weight, { bias: layer.bias, stride });
      const out = layer.call(x) as Tensor;
      expect(out.shape).toEqual(judge.shape);
      const gradient = randn(out.shape);
      const of = (y: Tensor): Tensor[] => [y, ...(gradients([y], leaves, { outputGradients: [gradient] }) as Tensor[])];
      const expected = of(judge);
      of(out).forEach((value, i) => {
        const error = value.sub(expected[i]).norm().item() / expected[i].norm().item();
        expect(error).toBeLessThan(1e-5);
      });
    });
  });
});
