// @ts-check
// Number formats: the bits of the CPU, and a tiny detector that learns one batch by heart in each.
import { numberFormatNames, numberFormats, roundMatrix } from "@rfdetr/amp";
import { manualSeed, randn, scope, tensor } from "@rfdetr/torch";
import { benchParts } from "rfdetr/instruments";
import { modelAutocast } from "rfdetr/model";
import { randomBatch, trainingStep } from "rfdetr/train";

export async function formats(report, { device }) {
  if (device === "meta") return report.leave("it compares values");
  for (const name of numberFormatNames) {
    await report.step(name);
    report.holds(`${name}: rounds as the CPU does, to the bit`, roundsAlike(name, device));
    report.atMost(`${name}: loss after 15 steps over the first`, lossAfter(name, device, 15), 0.95);
  }
}

/** Random values of many sizes, zeros, and values at the ends of float32. */
function roundsAlike(name, device) {
  return scope(() => {
    manualSeed(4);
    const sizes = randn([96, 1]).mul(20).exp();
    const matrix = randn([96, 100]).mul(sizes);
    matrix.select(0, 0).fill_(0);
    matrix
      .select(0, 1)
      .narrow(0, 0, 3)
      .copy_(tensor([1e-45, 2 ** -126, 3e38]));
    const { forward, backward } = numberFormats[name];
    return [forward, backward].every((elements) => {
      const [a, b] = [matrix, matrix.to(device)].map((x) => roundMatrix(x, elements, numberFormats[name]));
      return sameBits(a.values, b.values) && (a.scale === null || sameBits(a.scale, b.scale));
    });
  });
}

const sameBits = (a, b) => Buffer.from(a.toBits().buffer).equals(Buffer.from(b.to("cpu").toBits().buffer));

function lossAfter(format, device, steps) {
  const precision = "bf16-mixed";
  const { config, parts, ema } = benchParts({ model: "tiny", precision, device });
  parts.autocast = modelAutocast(parts.model, { precision, format });
  for (const group of parts.optimizer.groups) group.lr = 5e-4;
  manualSeed(2);
  const data = randomBatch(2, config.resolution, config.numClasses, 4);
  const losses = Array.from({ length: steps }, () => trainingStep(parts, [data], { ema }).loss);
  return losses[steps - 1] / losses[0];
}
