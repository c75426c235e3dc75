// What the metadata of weights say of their training: the same in a safetensors file and in a checkpoint for the Python
// package.
import { type CastRule, type ModuleRule, numberFormatNames, precisions } from "@rfdetr/amp";
import { CheckpointError } from "../support/errors.js";
import { isThresholds, type RecordedThresholds } from "../support/recorded-thresholds.js";
import { shown } from "../support/shown.js";
import { type TrainedPrecision, trainedEntries, unknownTraining } from "./trained-precision.js";
import type { WeightsInfo } from "./types.js";

/** The training that metadata describe. */
export interface TrainingMetadata {
  trained: TrainedPrecision;
  thresholds: RecordedThresholds | null;
  /** All else that the metadata have, as it is. */
  extra: Record<string, string>;
  /** What is said of the training in words that this version does not know, as sentences. */
  unknown: string[];
}

/** The metadata of a training, for a file. */
export function trainingEntries({ trained, extra }: Pick<WeightsInfo, "trained" | "extra">): Record<string, string> {
  return { ...extra, ...(trained && trainedEntries(trained)) };
}

/**
 * Reads {@link trainingEntries}. Whether a model can have the rules of the precision shows when one is made.
 * @throws CheckpointError naming the file
 */
export function trainingIn(path: string, metadata: Record<string, string>): TrainingMetadata {
  const { precision, precision_policy, precision_operators, precision_overrides, number_format, ...extra } = metadata;
  const trained = {
    precision: precisions.find((each) => each === precision) ?? null,
    policy: precision_policy ?? unknownTraining.policy,
    operators: tableIn<Record<string, CastRule>>(path, "precision_operators", "rules", precision_operators),
    overrides: tableIn<Record<string, ModuleRule>>(path, "precision_overrides", "rules", precision_overrides),
    numberFormat: numberFormatNames.find((each) => each === number_format) ?? null,
  };
  const read = [
    ["precision", precision, trained.precision],
    ["number_format", number_format, trained.numberFormat],
  ] as const;
  const unknown = read.flatMap(([name, given, known]) =>
    given === undefined || known !== null
      ? []
      : `The metadata of ${path} have ${shown(given, 40)} for ${name}, which this version does not know: the weights are used as if it were not there`,
  );
  return { trained, thresholds: thresholdsIn(path, extra.thresholds), extra, unknown };
}

function thresholdsIn(path: string, text: string | undefined): RecordedThresholds | null {
  if (text === undefined) return null;
  const thresholds = parsed(path, "thresholds", text);
  if (isThresholds(thresholds)) return thresholds;
  throw new CheckpointError(`Expected numbers from 0 to 1 by class for thresholds in the metadata of ${path}`);
}

/** A value of metadata that is JSON. @throws CheckpointError */
export function parsed(path: string, name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`Expected JSON for ${name} in the metadata of ${path} but it is none`, { cause: error });
  }
}

/** A value of metadata that is a table as JSON. @throws CheckpointError */
export function tableIn<T extends object>(path: string, name: string, of: string, text = "{}"): T {
  const table = parsed(path, name, text);
  if (typeof table !== "object" || table === null || Array.isArray(table))
    throw new CheckpointError(`Expected a table of ${of} for ${name} in the metadata of ${path}`);
  return table as T;
}
