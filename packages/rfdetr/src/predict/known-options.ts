// The options of a prediction once its model is known: recorded thresholds as numbers.
import { isExported } from "../onnx/exported-model.js";
import { describeHead } from "../onnx/onnx-head.js";
import { asksForBest, noRecorded } from "../support/asked-thresholds.js";
import { UsageError } from "../support/errors.js";
import { type RecordedThresholds, recordedAP50 } from "../support/recorded-thresholds.js";
import { withNumbers } from "./selection.js";
import type { DetectOptions, KnownDetectOptions } from "./types.js";

/**
 * Options whose thresholds are numbers.
 * @param weights the file of the model
 * @throws UsageError where recorded thresholds are asked for and the file has none
 */
export async function knownOptions(
  options: DetectOptions,
  recorded: RecordedThresholds | null,
  weights: string,
): Promise<KnownDetectOptions> {
  const AP50 = recorded === null && asksForBest(options.threshold) ? await evaluatedAP50(weights) : null;
  return withNumbers(options, recorded, () => new UsageError(noRecorded(weights, AP50)));
}

/** AP50 in the metadata of weights or of an exported file, which needs no libtorch. */
export async function evaluatedAP50(weights: string): Promise<number | null> {
  if (isExported(weights)) return describeHead(weights)?.AP50 ?? null;
  if (!weights.endsWith(".safetensors")) return null;
  const { readSafetensorsHeader } = await import("@rfdetr/torch");
  return recordedAP50(readSafetensorsHeader(weights).metadata);
}
