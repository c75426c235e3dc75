// The precision of a run: named, what fits the hardware, or what measures best on the run's first batch. The table that
// says what fits the hardware is `autoTable` of @rfdetr/amp.
import {
  type Calibration,
  type ModuleRule,
  type NumberFormatName,
  numberFormats,
  type Precision,
  precisionsOf,
  readHardware,
  resolvePrecision,
} from "@rfdetr/amp";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { requestedPrecision, trainedWith } from "../../settings/precision.js";
import { overridesAt } from "../../settings/precision-changes.js";
import { type SettingName, settings as settingsTable, type TrainSettings } from "../../settings/settings.js";
import { InternalError } from "../../support/errors.js";
import { calibrateSubject } from "../../train/measure/calibrate-step.js";
import { criterionOf } from "../../train/step/step-parts.js";
import type { RunConfig } from "./run-config.js";
import type { TrainData } from "./training-data.js";

/** The precision of a run and why. */
export interface ChosenPrecision {
  precision: Precision;
  /** Why this one, in words to print. */
  reason: string;
  /** What this precision costs on this hardware, if anything; null otherwise. */
  note: string | null;
  /** What was measured to choose it; null where nothing was. */
  calibration: Calibration | null;
}

/**
 * Chooses the precision of a run.
 * @param before configuration of the run that is resumed, which keeps what was measured then; null for a new run
 */
export async function choosePrecision(
  settings: TrainSettings,
  device: string,
  { model, data, before }: { model: RFDETRModel; data: TrainData; before: RunConfig | null },
): Promise<ChosenPrecision> {
  const request = requestedPrecision(settings);
  const calibration = request === "measured" && before === null ? await measure(model, data, settings, device) : null;
  const { precision, reason, note } =
    request === "measured"
      ? { ...(calibration?.recommended ?? (before as RunConfig)), note: null }
      : resolvePrecision(request, device);
  const idle = idleIn(precision, settings);
  const notes = [
    note,
    idle.length > 0 ? `In ${precision}, ${idle.join(", ")} ${idle.length === 1 ? "has" : "have"} no effect` : null,
    settings.numberFormat === null ? null : formatNote(settings.numberFormat),
  ].filter((each) => each !== null);
  // Some of them end in a full stop.
  const joined = notes.map((each, i) => (i < notes.length - 1 ? each.replace(/\.$/, "") : each)).join(". ");
  return { precision, reason, note: joined === "" ? null : joined, calibration };
}

/** Settings that ask for something which a precision does not have, by their names in files. */
function idleIn(precision: Precision, settings: TrainSettings): SettingName[] {
  const { scaler, precisionPolicy, precisionOperators, precisionOverrides, precisionChanges } = settings;
  const isSet = (value: object): boolean => Object.keys(value).length > 0;
  // Where everything is float32, a rule that says so holds.
  const lowers = (rule: ModuleRule): boolean => rule !== "fp32";
  const casts = precision === "bf16-mixed" || precision === "16-mixed";
  const idle: Partial<Record<SettingName, boolean>> = {
    scaler: isSet(scaler) && precision !== "16-mixed",
    precision_policy: !casts && precisionPolicy !== settingsTable.precision_policy.fallback,
    precision_operators: !casts && isSet(precisionOperators),
    precision_overrides: !casts && Object.values(precisionOverrides).some(lowers),
    precision_changes: !casts && precisionChanges.some((each) => "rule" in each && lowers(each.rule)),
  };
  return (Object.keys(idle) as SettingName[]).filter((name) => idle[name]);
}

const formatNote = (name: NumberFormatName): string =>
  `Linear layers are emulated in ${name} (${numberFormats[name].about}): slow, with the values that such hardware computes`;

/**
 * The precision to measure memory in, before the run's own is known: float32 takes the most where it is still to be
 * measured.
 */
export function precisionForMemory(settings: TrainSettings, device: string): Precision {
  const request = requestedPrecision(settings);
  return request === "measured" ? "32-true" : resolvePrecision(request, device).precision;
}

/**
 * Measures the precisions on the first step of the run, with its policy and its loss. Weights are as before afterwards.
 * An emulated float16 is left out: it is never the fastest.
 */
async function measure(
  model: RFDETRModel,
  data: TrainData,
  settings: TrainSettings,
  device: string,
): Promise<Calibration> {
  const precisions = precisionsOf(device).filter((each) => each !== "16-mixed" || readHardware(device).fp16);
  for await (const [batch] of data.steps(0, 0)) {
    const rules = trainedWith({ ...settings, precisionOverrides: { ...overridesAt(settings, 1) } }, null);
    const criterion = criterionOf(model, settings, data.classWeights ?? null);
    const subject = { model, classNames: data.classNames, batch, criterion, rules, device, trained: false };
    return calibrateSubject(subject, { precisions, rounds: 2 });
  }
  throw new InternalError("The loader produced no batch although the dataset has images");
}
