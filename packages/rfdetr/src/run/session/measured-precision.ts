// amp "calibrate": the precision that measures best on the run's own first batch.

import type { Calibration, Precision } from "@rfdetr/amp";
import { readHardware } from "@rfdetr/amp";
import { getRngState, keep, setRngState } from "@rfdetr/torch";
import type { RFDETRModel } from "../../model/rfdetr.js";
import type { TrainSettings } from "../../settings/settings.js";
import { InternalError } from "../../support/errors.js";
import { calibrateSubject } from "../../train/calibrate-step.js";
import type { TrainData } from "./training-data.js";

/** Whether the settings leave the precision to a measurement. */
export const wantsMeasurement = ({ amp, ampDtype, precision }: TrainSettings): boolean =>
  amp === "calibrate" && ampDtype === "auto" && precision === "auto";

/**
 * Measures the precisions on the first batch of the run. Weights and random numbers are as before afterwards. An emulated float16 is
 * left out: it is never the fastest.
 */
export async function measurePrecision(model: RFDETRModel, data: TrainData, settings: TrainSettings, device: string): Promise<Calibration> {
  const precisions: Precision[] = readHardware(device).fp16 ? ["bf16-mixed", "16-mixed"] : ["bf16-mixed"];
  for await (const [batch] of data.steps(0, 0)) {
    const rng = keep(getRngState());
    try {
      const subject = { model, classNames: data.classNames, batch, device, trained: false };
      return calibrateSubject(subject, { overrides: settings.precisionOverrides, precisions, rounds: 2 });
    } finally {
      setRngState(rng);
      rng.dispose();
    }
  }
  throw new InternalError("A dataset with images gave no batch");
}
