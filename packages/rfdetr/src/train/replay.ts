// Runs a faulty step once more to find where it first was not finite.
import { type OverflowReport, type Precision, replay } from "@rfdetr/amp";
import { scope } from "@rfdetr/torch";
import { inFloat32 } from "../model/outputs.js";
import { type MicroBatch, prepareImages, type StepParts } from "./step-parts.js";

/**
 * Runs a step that was not applied once more, with observers, and reports the first value that is not finite. Changes
 * no weight.
 * @param size side length of the images in pixels; null keeps their size
 * @param scale loss scale of the step
 */
export function replayStep(
  parts: StepParts,
  microBatches: readonly MicroBatch[],
  size: number | null,
  scale: number,
  what: { step: number; precision: Precision; files: readonly string[] },
): OverflowReport {
  const { model, criterion, autocast, device } = parts;
  try {
    return scope(() => {
      const images = microBatches.map((batch) => prepareImages(batch, size, device));
      const run = (): void =>
        microBatches.forEach(({ targets }, i) => {
          const outputs = inFloat32(autocast.run(() => model.call(images[i])));
          criterion
            .compute(outputs, targets, { training: true })
            .total.mul(scale / microBatches.length)
            .backward();
        });
      return replay({
        ...what,
        model,
        inputs: images.map((image, i) => [`images of micro-batch ${i + 1}`, image] as const),
        run,
        scale,
      });
    });
  } finally {
    parts.optimizer.zeroGrad();
    autocast.clearCache();
  }
}
