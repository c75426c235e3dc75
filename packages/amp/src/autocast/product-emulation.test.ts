import { nn, ops, randn, scope, type Tensor, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { Autocast } from "./autocast.js";

describe("16-mixed without float16 matrix units", () => {
  const emulated = new Autocast("16-mixed", { emulateFloat16: true });

  it("rounds operands, sums in float32 and rounds the result", () => {
    scope(() => {
      const a = tensor([[2048, 1, 1]]);
      const b = tensor([[1], [0.50001], [0.5]]);
      // The exact sum 2049.00001 rounds to 2048 in float16. A sum in float16 would give 2048 too, but 0.50001 is
      // rounded to 0.5 first.
      expect(emulated.run(() => ops.matmul(a, b)).toList()).toEqual([[2048]]);
      const ones = tensor(new Float32Array(4096).fill(1), { shape: [1, 4096] });
      // A float16 accumulator would stop at 2048.
      expect(emulated.run(() => ops.matmul(ones, ones.t())).toList()).toEqual([[4096]]);
    });
  });

  it("overflows where float16 does, forward and backward", () => {
    scope(() => {
      const a = tensor([[300]]);
      expect(emulated.run(() => ops.matmul(a, a)).item()).toBe(Number.POSITIVE_INFINITY);
      const layer = new nn.Linear(1, 1, { bias: false });
      const out = emulated.run(() => layer.call(a) as Tensor);
      expect(out.dtype).toBe("float16");
      out.float().mul(65536).sum().backward();
      expect((layer.weight.grad as Tensor).item()).toBe(Number.POSITIVE_INFINITY);
    });
  });

  it("gives gradients rounded to float16", () => {
    scope(() => {
      const layer = new nn.Linear(7, 5);
      emulated.clearCache();
      emulated
        .run(() => layer.call(randn([3, 7])) as Tensor)
        .float()
        .pow(2)
        .sum()
        .backward();
      const gradient = layer.weight.grad as Tensor;
      expect(gradient.dtype).toBe("float32");
      expect(gradient.toList()).toEqual(gradient.to("float16").float().toList());
    });
  });

  it("agrees with libtorch's own float16 product to one rounding", () => {
    scope(() => {
      const [a, b] = [randn([16, 32]), randn([32, 8])];
      const own = emulated.run(() => ops.matmul(a, b));
      const native = ops.matmul(a.to("float16"), b.to("float16"));
      // Both round operands to float16 and sum in float32, in another order. One unit of float16 is 2⁻¹⁰ relative, and
      // values reach about 20.
      expect(own.float().sub(native.float()).abs().max().item()).toBeLessThan(20 * 2 ** -10);
    });
  });
});
