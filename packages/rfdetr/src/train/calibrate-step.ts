// Measures every precision on one training step.
import { type Calibration, calibrate, type Overrides, type Precision } from "@rfdetr/amp";
import { Criterion } from "../loss/criterion.js";
import { modelAutocast } from "../model/precision.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import { type MicroBatch, prepareImages } from "./step-parts.js";

/** What is measured: a model and a training batch for it. */
export interface Subject {
  model: RFDETRModel;
  classNames: readonly string[];
  batch: MicroBatch;
  device: string;
  /** Whether the weights were trained. */
  trained: boolean;
}

/**
 * Measures every precision on the training step of a subject. The weights stay as they are.
 * @param options.overrides precision of single modules; @param options.rounds timed steps per precision
 */
export function calibrateSubject(
  { model, batch, device }: Subject,
  options: {
    overrides?: Overrides;
    precisions?: readonly Precision[];
    rounds?: number;
    progress?: (what: string) => void;
  } = {},
): Calibration {
  const { overrides, ...rest } = options;
  const criterion = new Criterion({ groupDetr: model.config.groupDetr });
  const images = prepareImages(batch, null, device);
  return calibrate({
    model,
    autocast: (precision) => modelAutocast(model, { precision, overrides }),
    forward: (autocast, dtype) => autocast.run(() => model.call(images.to(dtype))),
    step: (autocast, dtype, scale) => {
      const { total } = criterion.compute(
        autocast.run(() => model.call(images.to(dtype))),
        batch.targets,
        { training: true },
      );
      total.mul(scale).backward();
      return total.item();
    },
    ...rest,
  });
}
