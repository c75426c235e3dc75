// The detector of `rfdetr predict`, with the thresholds that the command line asks for.
import { RFDETR } from "../../detector/detector.js";
import type { Selection } from "../../predict/selection.js";
import type { Console } from "../console/console.js";
import { type precisions, reading, type WeightsFlags, weightsPath } from "../context.js";
import { asksForBest, type ThresholdRequest, thresholdInWords, thresholdsOf } from "./thresholds.js";

/**
 * Loads the weights. Says which recorded thresholds are taken, and which names of classes cannot be drawn.
 * @param draws whether pictures are drawn
 * @throws UsageError where the weights lack the thresholds that are asked for, and what loading throws
 */
export async function openDetector(
  console: Console,
  flags: WeightsFlags & { weights: string; device: string },
  asked: { precision: (typeof precisions)[number]; threshold: ThresholdRequest; draws: boolean },
): Promise<{ detector: RFDETR; threshold: NonNullable<Selection["threshold"]> }> {
  const { precision, draws } = asked;
  const weights = await weightsPath(console, flags.weights);
  const detector = await RFDETR.load(weights, { precision, device: flags.device, ...reading(console, flags) });
  try {
    const threshold = thresholdsOf(asked.threshold, (await detector.load()).thresholds, flags.weights);
    if (asksForBest(asked.threshold)) console.fact(`threshold as recorded in training: ${thresholdInWords(threshold)}`);
    const { fontWarning } = await import("../../pictures/drawing/lettering.js");
    const fonts = draws ? await fontWarning(detector.classNames ?? []) : null;
    if (fonts !== null) console.warning(fonts);
    return { detector, threshold };
  } catch (error) {
    await detector.dispose();
    throw error;
  }
}
