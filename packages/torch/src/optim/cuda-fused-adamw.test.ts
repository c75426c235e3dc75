import { expect, it } from "vitest";
import { manualSeed, noGrad, optim, randn, type Tensor } from "../index.js";
import { cudaFusedAdamW, fitsCudaFused } from "./cuda-fused-adamw.js";

it("libtorch's fused kernel, which GPUs use, makes the step of our own", () => {
  manualSeed(1);
  const settings = { lr: 1e-2, weightDecay: 0.1 };
  const params = [randn([7, 5], { requiresGrad: true }), randn([3], { requiresGrad: true })];
  const copies = params.map((p) => p.detach().clone());
  const moments = (): Tensor[] => copies.map((p) => p.mul(0));
  const [expAvg, expAvgSq] = [moments(), moments()];
  const optimizer = new optim.AdamW([{ params, ...settings }]);
  for (let step = 1; step <= 3; step++) {
    const gradients = params.map((p) => randn(p.shape));
    params.forEach((p, i) => {
      p.grad = gradients[i] as Tensor;
    });
    optimizer.step();
    noGrad(() =>
      cudaFusedAdamW({
        ...settings,
        params: copies,
        gradients,
        expAvg,
        expAvgSq,
        betas: optimizer.betas,
        eps: optimizer.eps,
        step,
      }),
    );
  }
  params.forEach((p, i) => {
    expect(
      p
        .detach()
        .sub(copies[i] as Tensor)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(1e-6);
  });
});

it("takes tensors of one NVIDIA GPU", () => {
  expect(fitsCudaFused([randn([2])])).toBe(false);
  expect(fitsCudaFused([randn([2], { device: "meta" })])).toBe(false);
  const like = (device: string): Tensor => ({ device, isFloatingPoint: true }) as Tensor;
  expect(fitsCudaFused([like("cuda:0"), like("cuda:0")])).toBe(true);
  expect(fitsCudaFused([like("cuda:0"), like("cuda:1")])).toBe(false);
});
