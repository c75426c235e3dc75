// How the images of an epoch are sampled, how many steps it has, and how much each class counts in the loss.
import type { Dataset } from "../../data/index.js";
import { balanceLines, classShares } from "../../data/loader/class-balance.js";
import { classWeights } from "../../data/loader/class-weights.js";
import { type Sampling, samplingOf, sumOf } from "../../data/loader/repeat-factors.js";
import { epochPlaces } from "../../data/loader/sampler.js";
import type { ReadySettings } from "../../settings/settings.js";
import { counted, grouped } from "../../support/format.js";
import { effectiveBatch, type TrainData } from "./training-data.js";

/** What the settings make of the training images. */
export interface EpochPlan extends Required<Pick<TrainData, "stepsPerEpoch" | "classWeights" | "notes">> {
  sampling: Sampling | null;
}

/** @throws DataError for weights of classes that there are not */
export function planEpochs({ images, classNames, parts = [] }: Dataset, settings: ReadySettings): EpochPlan {
  const sampling = samplingOf(images, settings.classBalancedSampling, parts);
  const shares = classShares(images, classNames.length, sampling);
  const weights = classWeights(settings.classWeights, classNames, shares.drawnBoxes);
  const effective = effectiveBatch(settings);
  const places = epochPlaces(images.length, effective, sampling);
  const what = [
    ...(sampling === null ? [] : [`An epoch draws ${grouped(places)} times from ${counted(images.length, "image")}`]),
    ...(weights === null ? [] : ["Classes are weighted in the loss"]),
  ];
  return {
    sampling,
    classWeights: weights,
    stepsPerEpoch: places / effective,
    notes: [
      ...partLines(parts, sampling, places),
      ...(what.length === 0 ? [] : [what.join(". "), ...balanceLines(classNames, shares, weights)]),
    ],
  };
}

/** A line for each of several datasets: its training images, its share of the places of an epoch. */
function partLines(parts: NonNullable<Dataset["parts"]>, sampling: Sampling | null, places: number): string[] {
  return parts.map(({ path, from, to }) => {
    const images = counted(to - from, "training image");
    if (sampling === null) return `${path}: ${images}`;
    const share = sumOf(sampling.factors.subarray(from, to)) / sumOf(sampling.factors);
    const times = ((share * places) / (to - from)).toFixed(2);
    return `${path}: ${images}, ${(100 * share).toFixed(1)} % of an epoch, each image ${times} times`;
  });
}
