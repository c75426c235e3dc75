// The precision of a run: named, what fits the hardware, or what measures best on the run's first batch. The table that
// says what fits the hardware is `autoTable` of @rfdetr/amp.
import {
  type Calibration,
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
import type { TrainSettings } from "../../settings/settings.js";
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
  const idle = Object.keys(settings.scaler).length > 0 && precision !== "16-mixed";
  const notes = [
    idle ? `The setting scaler has no effect in ${precision}` : note,
    settings.numberFormat === null ? null : formatNote(settings.numberFormat),
  ].filter((each) => each !== null);
  // Some of them end in a full stop.
  const joined = notes.map((each, i) => (i < notes.length - 1 ? each.replace(/\.$/, "") : each)).join(". ");
  return { precision, reason, note: joined === "" ? null : joined, calibration };
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
