// @ts-check
// A tiny detector learns one batch by heart, in every precision.
import { precisionsOf } from "@rfdetr/amp";
import { manualSeed } from "@rfdetr/torch";
import { benchParts } from "rfdetr/instruments";
import { randomBatch, trainingStep } from "rfdetr/train";

export async function learning(report, { device, quick }) {
  if (device === "meta") return report.leave("it compares values");
  const steps = quick ? 15 : 40;
  for (const precision of precisionsOf(device)) {
    const { config, parts, ema } = benchParts({ model: "tiny", precision, device });
    for (const group of parts.optimizer.groups) group.lr = 5e-4;
    manualSeed(2);
    const data = randomBatch(2, config.resolution, config.numClasses, 4, config.segmentationHead);
    const losses = [];
    for (let i = 0; i < steps; i++) {
      if (i % 10 === 0) await report.step(`${precision}, step ${i} of ${steps}`);
      const { loss, applied } = trainingStep(parts, [data], { ema });
      if (applied) losses.push(loss);
    }
    report.atMost(
      `${precision}: loss after ${steps} steps over the first`,
      losses.at(-1) / losses[0],
      quick ? 0.95 : 0.8,
    );
  }
}
