#!/usr/bin/env node
// Memory of a thousand multi-scale steps: what the process holds against what its tensors take, every hundred steps.
//
//   node bench/fragmentation.mjs [--model tiny] [--batch 4] [--steps 1000]
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "tiny" },
    batch: { type: "string", default: "4" },
    steps: { type: "string", default: "1000" },
  },
});
const compiled = (path) => new URL(`../packages/${path}`, import.meta.url).href;
const { letThreadsSleep } = await import(compiled("rfdetr/dist/support/openmp.js"));
letThreadsSleep();
const { manualSeed, memory, resetPeakMemory } = await import(compiled("torch/dist/index.js"));
const { benchParts, randomBatch } = await import(compiled("rfdetr/dist/instruments/bench-train.js"));
const { trainingStep } = await import(compiled("rfdetr/dist/train/step.js"));
const { scaleOfStep, trainingScales } = await import(compiled("rfdetr/dist/train/multi-scale.js"));
const { machineLine } = await import(compiled("rfdetr/dist/support/machine.js"));

const { config, parts, ema } = benchParts({ model: values.model, precision: "bf16-mixed", device: "cpu" });
const scales = trainingScales(config.resolution, config.patchSize, config.numWindows, true);
manualSeed(1);
const batch = randomBatch(Number(values.batch), config.resolution, config.numClasses, 8);
const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);
console.log(`${machineLine()}; ${values.model}, batch ${values.batch}, sides ${scales.join(", ")}\n`);
console.log("| step | live tensors, MiB | peak of tensors since the last row, MiB | RSS, MiB | tensor handles |\n|---|---|---|---|---|");
for (let step = 1; step <= Number(values.steps); step++) {
  trainingStep(parts, [batch], scaleOfStep(step, scales), ema);
  if (step % 100 !== 0 && step !== 10) continue;
  const { liveBytes, peakBytes, liveTensors } = memory();
  console.log(`| ${step} | ${mebibytes(liveBytes)} | ${mebibytes(peakBytes)} | ${mebibytes(process.memoryUsage.rss())} | ${liveTensors} |`);
  resetPeakMemory();
  await new Promise((resolve) => setTimeout(resolve, 0));
}
