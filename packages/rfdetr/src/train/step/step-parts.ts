// Everything that a training step uses, made in one place.
import { type Autocast, GradScaler, type Precision } from "@rfdetr/amp";
import { noGrad, optim, type Tensor } from "@rfdetr/torch";
import type { Target } from "../../data/target.js";
import { Criterion } from "../../loss/criterion.js";
import { imagesToTensor, normalise_, resizeImages } from "../../model/images/preprocess.js";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { trainedWith } from "../../settings/precision.js";
import type { TrainSettings } from "../../settings/settings.js";
import { type Shape, sidesOf } from "../../support/shape.js";
import { trainedAutocast } from "../../weights/trained-precision.js";
import { parameterGroups } from "../parameters/parameter-groups.js";
import { Ema } from "./ema.js";

/** Images and targets of one forward and backward; several make a step. */
export interface MicroBatch {
  /** `[B, height, width, 3]` bytes. */
  images: Uint8Array;
  height: number;
  width: number;
  targets: Target[];
  /** Paths of the images, for reports. */
  files?: readonly string[];
}

/**
 * Seconds that the phases of a step took. On a GPU these are the times in which the work was handed over; what the GPU
 * still has to do counts in the phase that next waits for it: the loss, which reads its value, and the optimizer, which
 * reads the norm.
 */
export interface StepSeconds {
  /** Turning the bytes of images into the input of the model. */
  images: number;
  forward: number;
  loss: number;
  backward: number;
  optimizer: number;
}

/** What a training step works with. */
export interface StepParts {
  model: RFDETRModel;
  criterion: Criterion;
  autocast: Autocast;
  optimizer: optim.AdamW;
  /** Disabled unless gradients are scaled. */
  scaler: GradScaler;
  /** What the scaler warned of and no step has passed on. */
  scalerWarnings?: string[];
  device: string;
  /** Global gradient norm above which gradients are clipped; 0 never clips. */
  clipMaxNorm: number;
}

/**
 * The loss, autocast, optimizer and gradient scaler for steps of `model` with these settings.
 * @param scale first loss scale; default: that of the settings; @param classWeights `[classes]`, default 1
 * @throws PolicyError when an override of the settings matches no module of the model
 */
export function stepParts(
  model: RFDETRModel,
  settings: TrainSettings,
  {
    precision,
    device,
    scale,
    classWeights = null,
  }: { precision: Precision; device: string; scale?: number; classWeights?: readonly number[] | null },
): StepParts {
  const scalerWarnings: string[] = [];
  return {
    model,
    criterion: criterionOf(model, settings, classWeights),
    autocast: trainedAutocast(model, trainedWith(settings, null), precision),
    optimizer: new optim.AdamW(parameterGroups(model, settings), { moments: settings.optimizerState }),
    scaler: new GradScaler({
      ...settings.scaler,
      ...(scale === undefined ? {} : { init: scale }),
      enabled: precision === "16-mixed",
      warn: (message) => scalerWarnings.push(message),
    }),
    scalerWarnings,
    device,
    clipMaxNorm: settings.clipMaxNorm,
  };
}

/** The loss of a training with these settings. @param classWeights `[classes]`, null for 1 */
export function criterionOf(
  { config: { groupDetr } }: RFDETRModel,
  settings: TrainSettings,
  classWeights: readonly number[] | null,
): Criterion {
  const { clsLossCoef: ce, bboxLossCoef: bbox, giouLossCoef: giou } = settings;
  const { maskCeLossCoef, maskDiceLossCoef: dice, maskPointSampleRatio: pointSampleRatio } = settings;
  const masks = { ce: maskCeLossCoef, dice, pointSampleRatio };
  return new Criterion({ groupDetr, weights: { ce, bbox, giou }, masks, classWeights });
}

/** The moving average of the weights, or null if the settings do not ask for it. */
export function averageOf(model: RFDETRModel, { useEma, emaDecay, emaTau }: TrainSettings): Ema | null {
  return useEma ? new Ema(model, { decay: emaDecay, tau: emaTau }) : null;
}

/** Frees model, optimizer and average at once, so that a later measurement does not find them in its peak. */
export function disposeTraining({ model, optimizer }: Pick<StepParts, "model" | "optimizer">, ema: Ema | null): void {
  optimizer.zeroGrad();
  model.dispose();
  for (const tensor of [...optimizer.stateTensors(), ...(ema?.state().tensors.values() ?? [])]) tensor.dispose();
}

/**
 * The images of a micro-batch as input of the model: `[B, 3, H, W]` float32, normalised, resized to `size` if it is
 * given.
 */
export function prepareImages(batch: MicroBatch, size: Shape | null, device: string): Tensor {
  const images = normalise_(imagesToTensor(batch.images, batch.targets.length, batch.height, batch.width, device));
  return size === null ? images : noGrad(() => resizeImages(images, ...sidesOf(size)));
}
