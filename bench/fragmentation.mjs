#!/usr/bin/env node
// @ts-check
// Memory of a thousand multi-scale steps: what the process holds against what its tensors take, every hundred steps.
//
//   node bench/fragmentation.mjs [--model tiny] [--batch 4] [--steps 1000]
import { parseArgs } from "node:util";
import { letThreadsSleep, machineLine } from "rfdetr/support";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "tiny" },
    batch: { type: "string", default: "4" },
    steps: { type: "string", default: "1000" },
  },
});
// Before libtorch loads, so the rest is imported after it.
letThreadsSleep();
const { manualSeed, memory, resetPeakMemory } = await import("@rfdetr/torch");
const { benchParts } = await import("rfdetr/instruments");
const { randomBatch, scaleOfStep, trainingScales, trainingStep } = await import("rfdetr/train");

const { config, parts, ema } = benchParts({ model: values.model, precision: "bf16-mixed", device: "cpu" });
const scales = trainingScales(config, { expanded: true });
manualSeed(1);
const batch = randomBatch(Number(values.batch), config.resolution, config.numClasses, 8, config.segmentationHead);
const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);
console.log(`${machineLine()}; ${values.model}, batch ${values.batch}, sides ${scales.join(", ")}\n`);
console.log(
  "| step | live tensors, MiB | peak of tensors since the last row, MiB | RSS, MiB | tensor handles |\n|---|---|---|---|---|",
);
for (let step = 1; step <= Number(values.steps); step++) {
  trainingStep(parts, [batch], { size: scaleOfStep(step, scales), ema });
  if (step % 100 !== 0 && step !== 10) continue;
  const { liveBytes, peakBytes, liveTensors } = memory();
  console.log(
    `| ${step} | ${mebibytes(liveBytes)} | ${mebibytes(peakBytes)} | ${mebibytes(process.memoryUsage.rss())} | ${liveTensors} |`,
  );
  resetPeakMemory();
  await new Promise((resolve) => setTimeout(resolve, 0));
}
