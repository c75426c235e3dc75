#!/usr/bin/env node
// @ts-check
// The attention kernel beside libtorch's own on the shapes of Nano at batch 2 and of the demo, in turns; best of
// twelve, GFLOP/s. `node bench/attention.mjs float32`: in that dtype instead of bfloat16.
import { gradients, ops, randn, scope } from "@rfdetr/torch";

const dtype = process.argv[2] ?? "bfloat16";
console.log("| batch, tokens, heads, width | kernel forward / backward | libtorch forward / backward |\n|---|---|---|");
for (const [batch, length, heads, width] of [
  [8, 145, 6, 64],
  [2, 580, 6, 64],
  [26, 300, 8, 32],
  [32, 65, 4, 32],
]) {
  const make = () => randn([batch, length, heads, width]).to(dtype);
  const [query, key, value] = [make(), make(), make()];
  const inputs = [query, key, value];
  const gradient = make();
  for (const input of inputs) input.requiresGrad = true;
  const work = (4 * batch * heads * length * length * width) / 1e6;
  const best = [ops.attention, ops.attentionComposed].map(() => ({
    forward: Number.POSITIVE_INFINITY,
    backward: Number.POSITIVE_INFINITY,
  }));
  for (let round = 0; round < 12; round++)
    [ops.attention, ops.attentionComposed].forEach((attend, i) =>
      scope(() => {
        const start = performance.now();
        const out = attend(query, key, value, 1 / Math.sqrt(width));
        const middle = performance.now();
        gradients([out], inputs, { outputGradients: [gradient] });
        best[i].forward = Math.min(best[i].forward, middle - start);
        best[i].backward = Math.min(best[i].backward, performance.now() - middle);
      }),
    );
  console.log(
    `| ${batch}, ${length}, ${heads}, ${width} | ${best.map((b) => `${(work / b.forward).toFixed(0)} / ${((2.5 * work) / b.backward).toFixed(0)}`).join(" | ")} |`,
  );
}
