// The model of a run and what it is trained with, as every process of the run builds them.
import type { Autocast, Overrides, Precision } from "@rfdetr/amp";
import { manualSeed } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import type { ModelConfig } from "../../model/types.js";
import { trainedWith } from "../../settings/precision.js";
import type { ReadySettings, TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { freezeModules } from "../../train/parameters/freeze.js";
import { adaptEncoder } from "../../train/parameters/lora.js";
import { Schedule } from "../../train/schedule/schedule.js";
import { averageOf, type StepParts, stepParts } from "../../train/step/step-parts.js";
import { type TrainedPrecision, trainedAutocast } from "../../weights/trained-precision.js";
import type { Training } from "./training.js";

/** A model with the random weights of a seed. */
export function newModel(config: ModelConfig, seed: number): RFDETRModel {
  manualSeed(seed);
  return new RFDETRModel(config);
}

/**
 * Makes a model ready for training on a device.
 * @returns which of its parameters are frozen, in a sentence; null where none are
 * @throws ConfigError for modules to freeze that there are not
 */
export function readyModel(model: RFDETRModel, settings: TrainSettings, device: string): string | null {
  const adapted = settings.backboneLora ? adaptEncoder(model) : null;
  const frozen = [adapted, freezeModules(model, settings)].filter((text) => text !== null).join(". ") || null;
  if (
    adapted !== null &&
    model.backbone
      .at(0)
      .encoder.parameters()
      .every((parameter) => !parameter.requiresGrad)
  )
    throw new ConfigError(
      `Expected adapters that are trained for backbone_lora but ${settings.freeze.join(", ")} of freeze matches all of them: leave out backbone_lora, or name fewer modules`,
    );
  if (device !== "cpu") model.to(device);
  model.train();
  model.checkpointing = settings.gradientCheckpointing;
  model.memory = settings.memory;
  model.setDropPath(settings.dropPath);
  return frozen;
}

/** What a model is trained with besides its data. */
export function buildTraining(
  model: RFDETRModel,
  settings: ReadySettings,
  how: {
    device: string;
    precision: Precision;
    overrides: Overrides;
    stepsPerEpoch: number;
    totalSteps: number;
    classWeights: readonly number[] | null;
  },
): Omit<Training, "settings" | "seed" | "data"> {
  const { precision, device, classWeights } = how;
  const precisionOverrides = { ...how.overrides };
  const parts = stepParts(model, { ...settings, precisionOverrides }, { precision, device, classWeights });
  const trained = trainedWith({ ...settings, precisionOverrides }, precision);
  return {
    parts,
    precision,
    trained,
    evaluationAutocast: evaluationAutocast(parts, settings, trained),
    ema: averageOf(model, settings),
    schedule: new Schedule(settings, how.stepsPerEpoch, how.totalSteps),
  };
}

/** Makes overrides of the precision hold from now on, in training and in evaluation. */
export function useOverrides(
  training: Pick<Training, "settings" | "parts" | "precision" | "trained" | "evaluationAutocast">,
  overrides: Overrides,
): void {
  const { settings, parts, precision } = training;
  for (const old of [parts.autocast, training.evaluationAutocast]) old.clearCache();
  training.trained = { ...training.trained, overrides };
  parts.autocast = trainedAutocast(parts.model, training.trained, precision);
  training.evaluationAutocast = evaluationAutocast(parts, settings, training.trained);
}

/** That of training, except that the obsolete `fp16_eval` evaluates in float16. */
function evaluationAutocast(
  { model, autocast }: Pick<StepParts, "model" | "autocast">,
  { fp16Eval }: TrainSettings,
  trained: TrainedPrecision,
): Autocast {
  return fp16Eval ? trainedAutocast(model, trained, "16-mixed") : autocast;
}
