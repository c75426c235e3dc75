#!/usr/bin/env node
// @ts-check
// Gradient norm, and AdamW with the moving average, over as many parameters as Nano has, with moments in float32 and in
// 8 bits in turns: milliseconds of each of eight steps, the medians, and the bytes of the moments.
import { nn, optim, randn, zeros } from "@rfdetr/torch";

const params = Array.from({ length: 28 }, () => nn.parameter(randn([1_085_000])));
const of = new Map(params.map((p) => [p, zeros(p.shape)]));
for (const p of params) p.grad = randn([1_085_000]);
const formats = /** @type {const} */ (["float32", "8bit"]);
const optimizers = formats.map((moments) => new optim.AdamW([{ params, lr: 1e-4, weightDecay: 1e-4 }], { moments }));
/** @type {number[][]} */
const passes = formats.map(() => []);
for (let i = 0; i < 9; i++) {
  const start = performance.now();
  const norm = optim.gradientNorm(params);
  const row = [`norm ${(performance.now() - start).toFixed(1)} ms`];
  for (const [f, optimizer] of optimizers.entries()) {
    const before = performance.now();
    optimizer.step({ gradientScale: optim.clipFactor(norm, 0.1), average: { of, weight: 0.001 } });
    const passed = performance.now() - before;
    row.push(`AdamW and average, ${formats[f]} ${passed.toFixed(1)} ms`);
    if (i > 0) passes[f].push(passed);
  }
  console.log(row.join(", "));
}
const medians = passes.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
for (const [f, optimizer] of optimizers.entries()) {
  const bytes = optimizer.stateTensors().reduce((sum, { nbytes }) => sum + nbytes, 0);
  console.log(
    `${formats[f]}: median ${medians[f].toFixed(1)} ms, ${(medians[f] / medians[0]).toFixed(2)} times float32's; moments ${(bytes / 2 ** 20).toFixed(1)} MiB`,
  );
}
