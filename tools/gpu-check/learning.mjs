// @ts-check
// Tiny models, of boxes and of masks, learn one batch by heart, in every precision.
import { precisionsOf } from "@rfdetr/amp";
import { manualSeed } from "@rfdetr/torch";
import { benchParts } from "rfdetr/instruments";
import { randomBatch, trainingStep } from "rfdetr/train";

export async function learning(report, { device, quick }) {
  if (device === "meta") return report.leave("it compares values");
  const steps = quick ? 15 : 40;
  for (const model of ["tiny", "seg-tiny"])
    for (const precision of precisionsOf(device)) await learn(report, { model, precision, device, steps, quick });
}

async function learn(report, { model, precision, device, steps, quick }) {
  const { config, parts, ema } = benchParts({ model, precision, device });
  for (const group of parts.optimizer.groups) group.lr = 5e-4;
  manualSeed(2);
  const data = randomBatch(2, config.resolution, config.numClasses, 4, config.segmentationHead);
  const losses = [];
  for (let i = 0; i < steps; i++) {
    if (i % 10 === 0) await report.step(`${model}, ${precision}, step ${i} of ${steps}`);
    const { loss, applied } = trainingStep(parts, [data], { ema });
    if (applied) losses.push(loss);
  }
  report.atMost(
    `${model}, ${precision}: loss after ${steps} steps over the first`,
    losses.at(-1) / losses[0],
    quick ? 0.95 : 0.8,
  );
}
