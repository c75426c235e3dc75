// The part of a run that every process of it has.
import type { Autocast, Precision } from "@rfdetr/amp";
import type { ReadySettings } from "../../settings/settings.js";
import type { Schedule } from "../../train/schedule/schedule.js";
import type { Ema } from "../../train/step/ema.js";
import type { StepParts } from "../../train/step/step-parts.js";
import type { TrainedPrecision } from "../../weights/trained-precision.js";
import type { TrainData } from "./training-data.js";

/** What each process of a run trains and evaluates with. */
export interface Training {
  settings: ReadySettings;
  seed: number;
  data: TrainData;
  parts: StepParts;
  precision: Precision;
  /** That precision with policy and overrides, as they are now. */
  trained: TrainedPrecision;
  /** The autocast of evaluation: that of training, except with the obsolete fp16_eval. */
  evaluationAutocast: Autocast;
  ema: Ema | null;
  schedule: Schedule;
}
