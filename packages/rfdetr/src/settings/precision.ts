// The precision that settings ask for.
import type { Precision } from "@rfdetr/amp";
import { precisions } from "@rfdetr/amp/names";
import { ConfigError } from "../support/errors.js";
import { camelCase } from "../support/names.js";
import type { TrainedPrecision } from "../weights/trained-precision.js";
import type { TrainSettings } from "./settings.js";

/**
 * A precision by its name, `auto` (what fits the hardware) or `measured` (what measures best on the run's first batch).
 */
export type RequestedPrecision = Precision | "auto" | "measured";

/**
 * What `precision`, `amp_dtype` and `amp` ask for. Each is undefined where a setting leaves it to the others.
 */
function requests({ precision, amp, ampDtype }: TrainSettings): Record<string, RequestedPrecision | undefined> {
  const ofDtype = { bf16: "bf16-mixed", fp16: "16-mixed", auto: undefined } as const;
  return {
    precision: precision === "auto" ? undefined : precision,
    amp_dtype: ampDtype === null ? "32-true" : ofDtype[ampDtype],
    amp: amp === false ? "32-true" : amp === "calibrate" ? "measured" : undefined,
  };
}

/** What `precision`, `amp_dtype` and `amp` ask for together. The first of them that does not leave it open decides. */
export function requestedPrecision(settings: TrainSettings): RequestedPrecision {
  return Object.values(requests(settings)).find((request) => request !== undefined) ?? "auto";
}

/** The precision of a training with these settings. */
export function trainedWith<P extends Precision | null>(
  settings: Pick<TrainSettings, "precisionPolicy" | "precisionOperators" | "precisionOverrides" | "numberFormat">,
  precision: P,
): TrainedPrecision & { precision: P } {
  const { precisionPolicy: policy, precisionOperators: operators, precisionOverrides: overrides } = settings;
  return { precision, policy, operators, overrides, numberFormat: settings.numberFormat };
}

/**
 * @throws ConfigError for settings that ask for two precisions, or for a loss scaler in a precision that has none
 */
export function checkPrecision(settings: TrainSettings): void {
  const asked = Object.entries(requests(settings)).filter(([, request]) => request !== undefined);
  const other = asked.find(([, request]) => request !== asked[0][1]);
  const value = (name: string): string =>
    `${name} = ${JSON.stringify(settings[camelCase(name) as keyof TrainSettings])}`;
  if (other !== undefined)
    throw new ConfigError(
      `Expected one precision but received ${value(asked[0][0])} and ${value(other[0])}, which is ${other[1]}: leave one out`,
    );
  const wanted = asked[0]?.[1];
  if (Object.keys(settings.scaler).length > 0 && precisions.some((each) => each === wanted && each !== "16-mixed"))
    throw new ConfigError(`The setting scaler is for 16-mixed, but the precision is ${wanted}: leave one out`);
}
