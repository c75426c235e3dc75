// The detector of `rfdetr predict`, with the thresholds that the command line asks for.
import type { NumberFormatName } from "@rfdetr/amp/names";
import { RFDETR } from "../../detector/detector.js";
import { evaluatedAP50 } from "../../predict/known-options.js";
import { type AskedThresholds, asksForBest, noRecorded, thresholdsOf } from "../../support/asked-thresholds.js";
import { UsageError } from "../../support/errors.js";
import type { Thresholds } from "../../support/thresholds.js";
import type { Console } from "../console/console.js";
import { type precisions, reading, showNumberFormat, type WeightsFlags, weightsPath } from "../context.js";
import { optionText, thresholdInWords } from "./thresholds.js";

/** What the command line asks of a detector. */
export interface DetectorRequest {
  precision: (typeof precisions)[number];
  /** Null for none; absent for that of the training. */
  numberFormat?: NumberFormatName | null;
  threshold: AskedThresholds;
  /** Whether pictures are drawn. */
  draws: boolean;
}

/**
 * Loads the weights. Says which recorded thresholds are taken, and which names of classes cannot be drawn.
 * @throws UsageError where the weights lack the thresholds that are asked for, and what loading throws
 */
export async function openDetector(
  console: Console,
  flags: WeightsFlags & { weights: string; device: string },
  { threshold: request, draws, ...asked }: DetectorRequest,
): Promise<{ detector: RFDETR; threshold: Thresholds }> {
  const options = { ...asked, device: flags.device, ...reading(console, flags) };
  const weights = await weightsPath(console, flags.weights);
  const detector = await RFDETR.load(weights, options);
  try {
    const { thresholds, numberFormat } = await detector.load();
    showNumberFormat(console, numberFormat);
    const AP50 = thresholds === null && asksForBest(request) ? await evaluatedAP50(weights) : null;
    const threshold = thresholdsOf(
      request,
      thresholds,
      () => new UsageError(noRecorded(flags.weights, AP50, optionText)),
    );
    if (asksForBest(request)) console.fact(`threshold as recorded in training: ${thresholdInWords(threshold)}`);
    const { fontWarning } = await import("../../pictures/drawing/lettering.js");
    const fonts = draws ? await fontWarning(detector.classNames ?? []) : null;
    if (fonts !== null) console.warning(fonts);
    return { detector, threshold };
  } catch (error) {
    await detector.dispose();
    throw error;
  }
}
