// @ts-check
// Where the tensors of a training step are, and how often a step reads from the device.
import { precisionsOf } from "@rfdetr/amp";
import { Tensor, zeros } from "@rfdetr/torch";
import { benchParts } from "rfdetr/instruments";
import { randomBatch, trainingStep } from "rfdetr/train";

/** The costs, the terms of the loss and the norm. */
const readings = 3;
/** Of a step that is not applied also which gradients are not finite, and their elements that are NaN or infinite. */
const readingsOfFault = 6;

export async function devices(report, { device, models, batch }) {
  if (device === "cpu") return report.leave("the CPU reads nothing from a device");
  for (const model of models) await readingsOf(report, { device, model, batch });
}

async function readingsOf(report, { device, model, batch }) {
  for (const precision of precisionsOf(device === "meta" ? "cpu" : device)) {
    await report.step(`a step of ${model} in ${precision}`);
    const { config, parts, ema } = benchParts({ model, precision, device });
    const data = randomBatch(batch, config.resolution, config.numClasses, 3, config.segmentationHead);
    let applied = false;
    for (let step = 0; step < 16 && !applied; step++) {
      const count = countReadings(device, () => {
        ({ applied } = trainingStep(parts, [data], { ema }));
      });
      const what = applied ? "a step" : `step ${step + 1}, which is not applied`;
      report.atMost(
        `${model}, ${precision}: readings from the device in ${what}`,
        count,
        applied ? readings : readingsOfFault,
      );
    }
    report.holds(`${model}, ${precision}: a step is applied`, applied);
    const tensors = [...parts.model.stateDict(), ...(ema?.state().tensors ?? [])];
    const elsewhere = tensors.filter(([, tensor]) => tensor.device !== device).map(([name]) => name);
    report.holds(
      `${model}, ${precision}: weights and averages stay on the device`,
      elsewhere.length === 0,
      elsewhere[0] ?? "",
    );
  }
}

/** How often `body` reads values from the device. Meta tensors have none and read as zeros. */
function countReadings(device, body) {
  const { item, toBits } = Tensor.prototype;
  let count = 0;
  const counted = (read, zero) =>
    /** @this {Tensor} */
    function () {
      if (this.device !== device) return read.call(this);
      count++;
      return device === "meta" ? zero(this) : read.call(this);
    };
  Tensor.prototype.item = counted(item, () => 0);
  Tensor.prototype.toBits = counted(toBits, ({ shape, dtype }) => toBits.call(zeros(shape, { dtype })));
  try {
    body();
  } finally {
    Object.assign(Tensor.prototype, { item, toBits });
  }
  return count;
}
