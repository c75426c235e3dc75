// A run whose overflow is planted: one weight grows step by step, until its products leave the range of float16. For
// tests of what foresees it, and for pictures of it.
import { noGrad, type Tensor } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import { requestControl } from "../../run/control/control.js";
import type { TrainEvent } from "../../run/events/events.js";
import type { OpenTrainData } from "../../run/session/training-data.js";
import { train } from "../../run/trainer.js";
import { resolveSettings } from "../../settings/resolve.js";

/** The module whose weight grows. Its output is normed afterwards, so that nothing else of the run becomes large. */
export const plantedModule = "transformer.decoder.layers.1.linear2";

/** What the weight is multiplied by in each step: half a bit. */
const growth = Math.SQRT2;
/** Skipped steps after which the remedy is taken. */
const patience = 3;

/** How the run goes. */
export interface PlantedRun {
  /** Steps between watched ones; default 2. */
  monitorInterval?: number;
  /** The steps that are planned. */
  maxSteps: number;
  /** The step after which the run is stopped; default: the planned end. */
  stopAfter?: number;
  datasetDir: string;
  outputDir: string;
  openData: OpenTrainData;
  /** Whether a command gives the module the rule fp32 when steps are skipped, as a user would. */
  remedy: boolean;
}

/**
 * Trains `tiny` in 16-mixed, while the weight of {@link plantedModule} grows until a step is skipped.
 * @returns the events of the run
 */
export async function* plantedOverflow({
  openData,
  remedy,
  stopAfter,
  ...options
}: PlantedRun): AsyncGenerator<TrainEvent> {
  const settings = resolveSettings({
    model: "tiny",
    precision: "16-mixed",
    scaler: { init: 1024 },
    batchSize: 2,
    seed: 1,
    epochs: 1000,
    monitorInterval: 2,
    multiScale: "off",
    evalInterval: 1000,
    numWorkers: 0,
    ...options,
  });
  const { forward } = RFDETRModel.prototype;
  let grows = true;
  RFDETRModel.prototype.forward = function (images: Tensor) {
    if (this.training && grows) noGrad(() => this.transformer.decoder.layers[1].linear2.weight.mul_(growth));
    return forward.call(this, images);
  };
  let skipped = 0;
  const stop = new Int32Array(1);
  try {
    for await (const event of train({ settings, resume: null, place: null, stop }, openData)) {
      if (event.type === "step" && event.step === stopAfter) stop[0] = 1;
      if (event.type === "step" && event.skipped) {
        grows = false;
        skipped++;
        if (remedy && skipped === patience) override(settings.outputDir as string);
      }
      yield event;
    }
  } finally {
    RFDETRModel.prototype.forward = forward;
  }
}

/** The run itself answers, after its step: nobody can wait here. */
function override(folder: string): void {
  requestControl(folder, { command: "override", pattern: plantedModule, rule: "fp32" }).catch(() => {});
}
