// Settings that cannot hold together, and settings that others leave without effect.
import { isDeepStrictEqual } from "node:util";
import { resolveModel } from "../model/variants.js";
import { ConfigError } from "../support/errors.js";
import { camelCase } from "../support/names.js";
import { type SettingName, settings, type TrainOptions, type TrainSettings } from "./settings.js";

/**
 * Refuses settings that cannot hold together. A value that a setting has by default contradicts none, because saved
 * configs contain every setting.
 * @throws ConfigError naming both settings, what they ask for and which to leave out
 */
export function checkTogether(all: TrainSettings): void {
  checkEncoder(all);
  checkLosses(all);
  const { numClasses, classNames } = all;
  if (all.earlyStoppingUseEma && !all.useEma)
    throw new ConfigError(
      "Expected use_ema = true for early_stopping_use_ema = true but received false: without it no averaged weights are there to watch, leave one of the two out",
    );
  if (all.batchSize === "auto" && all.gradAccumSteps !== settings.grad_accum_steps.fallback)
    throw new ConfigError(
      `Expected batch_size or grad_accum_steps but received batch_size = "auto", which sets grad_accum_steps, and grad_accum_steps = ${all.gradAccumSteps}: leave it out, and name the images per step with auto_batch_target_effective`,
    );
  if (numClasses !== null && classNames !== null && numClasses !== classNames.length)
    throw new ConfigError(
      `Expected as many class_names as num_classes says, ${numClasses}, but received ${classNames.length}: leave one of the two out`,
    );
}

/** The package lets the adapters learn with both settings; what their names say cannot both be done. */
function checkEncoder({ backboneLora, freezeEncoder }: TrainSettings): void {
  if (backboneLora && freezeEncoder)
    throw new ConfigError(
      "Expected backbone_lora or freeze_encoder but received both: backbone_lora alone freezes the encoder's own weights and trains adapters, freeze_encoder alone trains nothing of the encoder",
    );
}

function checkLosses(all: TrainSettings): void {
  const { classWeights, model } = all;
  const zero = typeof classWeights === "number" ? [] : Object.keys(classWeights).filter((n) => classWeights[n] === 0);
  // A matched query would get no classification loss, while all others are taught that the class is not there.
  if (zero.length > 0)
    throw new ConfigError(
      `Expected weights above 0 in class_weights but received 0 for ${zero.join(", ")}: nothing would teach the model to find it; to train without a class, take its boxes out of the data`,
    );
  const ofBoxes = {
    cls_loss_coef: all.clsLossCoef,
    bbox_loss_coef: all.bboxLossCoef,
    giou_loss_coef: all.giouLossCoef,
  };
  if (Object.values(ofBoxes).some((coefficient) => coefficient > 0)) return;
  if (resolveModel(model).segmentationHead && all.maskCeLossCoef + all.maskDiceLossCoef > 0) return;
  throw new ConfigError(
    `Expected a loss to train with but ${Object.keys(ofBoxes).join(", ")} are all 0: leave out one of them at least`,
  );
}

/** Settings that have no effect where others have certain values, and which. */
const dependent: readonly { names: readonly SettingName[]; idle: (all: TrainSettings) => string | null }[] = [
  {
    names: ["early_stopping_patience", "early_stopping_min_delta", "early_stopping_use_ema"],
    idle: ({ earlyStopping }) => (earlyStopping ? null : "early_stopping is false"),
  },
  {
    names: ["ema_decay", "ema_tau", "ema_update_interval"],
    idle: ({ useEma }) => (useEma ? null : "use_ema is false"),
  },
  {
    names: ["auto_batch_target_effective", "auto_batch_max_targets_per_image"],
    idle: ({ batchSize }) => (batchSize === "auto" ? null : `batch_size is ${batchSize} and not auto`),
  },
  { names: ["lr_drop"], idle: ({ lrScheduler: shape }) => (shape === "step" ? null : `lr_scheduler is ${shape}`) },
  { names: ["min_factor"], idle: ({ lrScheduler: shape }) => (shape === "step" ? `lr_scheduler is ${shape}` : null) },
  {
    names: ["lr_encoder", "lr_vit_layer_decay"],
    idle: ({ freezeEncoder }) => (freezeEncoder ? "freeze_encoder is true" : null),
  },
  {
    names: ["gradient_compression", "process_timeout"],
    idle: ({ processes }) => (processes > 1 ? null : "one process trains"),
  },
];

/**
 * What settings of a new run ask for that will not happen, in sentences.
 * @param all with the batch size as it was asked for
 * @param preset of the variant: what the user did not ask for is not told
 */
export function idleSettings(all: TrainSettings, preset: TrainOptions): string[] {
  const [values, presets] = [all, preset] as unknown as Record<string, unknown>[];
  const asked = (name: SettingName): boolean => {
    const key = camelCase(name);
    return !isDeepStrictEqual(values[key], presets[key] ?? settings[name].fallback);
  };
  const sentences = dependent.flatMap(({ names, idle }) => {
    const given = names.filter(asked);
    const reason = given.length === 0 ? null : idle(all);
    if (reason === null) return [];
    return given.length === 1
      ? [`The setting ${given[0]} has no effect, since ${reason}`]
      : [`The settings ${given.join(", ")} have no effect, since ${reason}`];
  });
  const { warmupEpochs, skipBestEpochs, epochs } = all;
  if (warmupEpochs >= epochs)
    sentences.push(
      `The learning rate rises to the end and is never what lr says, since warmup_epochs is ${warmupEpochs} and epochs is ${epochs}`,
    );
  if (skipBestEpochs >= epochs)
    sentences.push(
      `There will be no best weights, since skip_best_epochs is ${skipBestEpochs} and epochs is ${epochs}`,
    );
  return [...sentences, ...scalerLines(all)];
}

/** log2 of a first loss scale that float16 hardly ever holds. */
const usual = 32;

function scalerLines({ scaler: { init = 65536, backoff = 0.5 } }: TrainSettings): string[] {
  if (init < 1)
    return [
      `The loss scale begins at ${init}, where small gradients become 0 in float16: leave scaler.init out to begin at 65536`,
    ];
  const steps = Math.ceil((Math.log2(init) - usual) / -Math.log2(backoff));
  return steps > 0
    ? [
        `The loss scale begins at ${init}: about ${steps} steps will be skipped until it has fallen to what float16 holds, leave scaler.init out to begin at 65536`,
      ]
    : [];
}
