// The precision that weights were trained in: from the run that they lie in, or from their metadata.
import { existsSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { type Overrides, type Policy, policyByName, withOperators } from "@rfdetr/amp";
import { overridesAt } from "../settings/precision-changes.js";
import { resolveSettings } from "../settings/resolve.js";
import { RfdetrError } from "../support/errors.js";
import { describeOwnWeights } from "../weights/read-safetensors.js";
import { RunDirectory } from "./files/run-directory.js";
import { readRunConfig } from "./session/run-config.js";

/** What the policy of a training gave to operators and modules. */
export interface TrainedPrecision {
  /** Such as `bf16-mixed`; absent where nobody knows it. */
  precision?: string;
  policy?: Policy;
  overrides?: Overrides;
}

/**
 * Reads the precision of a training. The policy and the overrides at its end are known for weights that lie in the
 * folder of their run.
 * @param weights path of a weights file
 */
export function trainedPrecision(weights: string): TrainedPrecision {
  const folder = dirname(resolve(weights));
  const run = dirname(folder);
  if (basename(folder) === "weights" && existsSync(join(run, "config.json"))) {
    const { precision, settings } = readRunConfig(RunDirectory.at(run));
    const { precisionPolicy, precisionOperators, ...rest } = resolveSettings(settings);
    return {
      precision,
      policy: withOperators(policyByName(precisionPolicy), precisionOperators),
      overrides: overridesAt(rest, Number.POSITIVE_INFINITY),
    };
  }
  if (extname(weights).toLowerCase() !== ".safetensors") return {};
  try {
    const { precision } = describeOwnWeights(weights).extra;
    return precision === undefined ? {} : { precision };
  } catch (error) {
    // Whoever loads the weights says what is wrong with them.
    if (RfdetrError.is(error)) return {};
    throw error;
  }
}
