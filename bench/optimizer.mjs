#!/usr/bin/env node
// @ts-check
// Gradient norm, and AdamW with the moving average, over as many parameters as Nano has; milliseconds of each of
// eight steps.
import { nn, optim, randn, zeros } from "@rfdetr/torch";

const params = Array.from({ length: 28 }, () => nn.parameter(randn([1_085_000])));
const of = new Map(params.map((p) => [p, zeros(p.shape)]));
for (const p of params) p.grad = randn([1_085_000]);
const optimizer = new optim.AdamW([{ params, lr: 1e-4, weightDecay: 1e-4 }]);
for (let i = 0; i < 8; i++) {
  const start = performance.now();
  const norm = optim.gradientNorm(params);
  const middle = performance.now();
  optimizer.step({ gradientScale: optim.clipFactor(norm, 0.1), average: { of, weight: 0.001 } });
  console.log(
    `norm ${(middle - start).toFixed(1)} ms, AdamW and average ${(performance.now() - middle).toFixed(1)} ms`,
  );
}
