// The precision that weights were trained in. A run writes it into the metadata of its weights; evaluation, prediction,
// export and instruments go by it.
import {
  type Autocast,
  type CastRule,
  type Hardware,
  type NumberFormatName,
  type Overrides,
  type Policy,
  type Precision,
  type PrecisionRequest,
  policyByName,
  precisionsOf,
  type ResolvedPrecision,
  resolvePrecision,
  withOperators,
} from "@rfdetr/amp";
import { modelAutocast } from "../model/precision/precision.js";
import type { RFDETRModel } from "../model/rfdetr.js";

/** The precision of a training, with what its policy gave to operators and modules, as the settings name them. */
export interface TrainedPrecision {
  /** Null where nobody knows it: of published weights, and of those of other programs. */
  precision: Precision | null;
  /** Name of the table, as in the setting `precision_policy`. */
  policy: string;
  /** Changed rows of the table, as in `precision_operators`. */
  operators: Readonly<Record<string, CastRule>>;
  /** Rules of modules, as in `precision_overrides`. */
  overrides: Overrides;
  /** The number format that linear layers are emulated in; null where there is none. */
  numberFormat: NumberFormatName | null;
}

/** That of weights that do not say how they were trained. */
export const unknownTraining: TrainedPrecision = {
  precision: null,
  policy: "default",
  operators: {},
  overrides: {},
  numberFormat: null,
};

/** The table of a training. @throws PolicyError for an unknown name, operator or rule */
export function policyOf({ policy, operators }: Pick<TrainedPrecision, "policy" | "operators">): Policy {
  return withOperators(policyByName(policy), operators);
}

/**
 * The autocast of a training, also in another precision than its own.
 * @throws PolicyError for an unknown policy, operator or rule, and for an override that matches no module of the model
 */
export function trainedAutocast(
  model: RFDETRModel,
  trained: Omit<TrainedPrecision, "precision">,
  precision: Precision,
): Autocast {
  const { overrides, numberFormat: format } = trained;
  return modelAutocast(model, { precision, policy: policyOf(trained), overrides, format });
}

/**
 * The precision to use weights in. `auto` is that of their training where the device has units for it, float32 in place
 * of TF32 where the device lacks that, and otherwise what fits the hardware.
 * @throws PrecisionError as `resolvePrecision` does
 */
export function resolveTrained(
  request: PrecisionRequest,
  { precision: trained }: Pick<TrainedPrecision, "precision">,
  device: string | Hardware,
): ResolvedPrecision {
  const fitting = resolvePrecision(request, device);
  if ((request !== "auto" && request !== true) || trained === null) return fitting;
  const has = precisionsOf(device).includes(trained);
  const own = resolvePrecision(has ? trained : "32-true", device);
  if (has && own.note === null) return { ...own, reason: "the weights were trained in it" };
  const { precision, reason } = has ? fitting : { ...own, reason: "it is the closest" };
  const note = `The weights were trained in ${trained}, which this device has no units for: ${precision} is used, because ${reason}`;
  return { precision, reason, note };
}

/** What the metadata of a file say of a training. */
export function trainedEntries({
  precision,
  policy,
  operators,
  overrides,
  numberFormat,
}: TrainedPrecision): Record<string, string> {
  return {
    ...(precision === null ? {} : { precision }),
    ...(numberFormat === null ? {} : { number_format: numberFormat }),
    precision_policy: policy,
    precision_operators: JSON.stringify(operators),
    precision_overrides: JSON.stringify(overrides),
  };
}
