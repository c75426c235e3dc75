// Every precision measured on one training step of a detector: speed, memory, error.
import { type Calibration, calibrate } from "@rfdetr/amp";
import { manualSeed } from "@rfdetr/torch";
import { Criterion } from "../loss/criterion.js";
import { modelAutocast } from "../model/autocast.js";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveConfig } from "../model/variants.js";
import { randomBatch } from "./bench.js";
import { resolveConfig as resolveSettings } from "./config.js";
import { openTrainData } from "./data.js";
import { imagesToTensor, normalise_ } from "./images.js";
import type { MicroBatch } from "./step.js";

export interface CalibrationOptions {
  model: string;
  batch: number;
  device: string;
  /** Dataset whose first training batch is taken; noise with eight boxes an image without one. */
  data?: string;
  progress?: (what: string) => void;
}

/** Measures a fresh model of a variant, with random weights. */
export async function calibrateVariant({ model: variant, batch, device, data, progress }: CalibrationOptions): Promise<Calibration> {
  manualSeed(0);
  const shape = resolveConfig(variant);
  const source = data === undefined ? null : await firstBatch(data, variant, batch, shape.resolution);
  const config = { ...shape, numClasses: source?.classes ?? shape.numClasses };
  const model = new RFDETRModel(config);
  if (device !== "cpu") model.to(device);
  model.train();
  const { images: bytes, height, width, targets } = source?.batch ?? randomBatch(batch, config.resolution, config.numClasses);
  const criterion = new Criterion({ groupDetr: config.groupDetr });
  const images = normalise_(imagesToTensor(bytes, targets.length, height, width, device));
  return calibrate({
    model,
    autocast: (precision) => modelAutocast(precision, model),
    forward: (autocast, dtype) => autocast.run(() => model.call(images.to(dtype))),
    step: (autocast, dtype, scale) => {
      const { total } = criterion.compute(
        autocast.run(() => model.call(images.to(dtype))),
        targets,
        { training: true },
      );
      total.mul(scale).backward();
      return total.item();
    },
    progress,
  });
}

async function firstBatch(data: string, model: string, batch: number, side: number): Promise<{ batch: MicroBatch; classes: number }> {
  const settings = resolveSettings({ datasetDir: data, model, batchSize: batch, gradAccumSteps: 1 });
  const opened = await openTrainData(settings, { seed: 0, side, evaluationSide: side });
  try {
    for await (const [first] of opened.steps(0, 0)) return { batch: first, classes: opened.classNames.length };
    throw new Error("A dataset with images gave no batch");
  } finally {
    await opened.close();
  }
}
