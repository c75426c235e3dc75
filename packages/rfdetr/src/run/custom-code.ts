// The code of a user that runs in the training thread or in the threads that load its images.
import { customFunctions } from "../data/augment/config.js";
import { keyOf } from "../data/augment/custom-augmentation.js";
import type { TrainSettings } from "../settings/settings.js";

/** The augmentations of a user, in words. */
const customAugmentations = ({ augConfig }: Partial<Pick<TrainSettings, "augConfig">>): string[] =>
  customFunctions(augConfig ?? {}).map((each) => `the augmentation ${keyOf(each)}`);

/** What a step waits for first, in words. */
export const nextImages = (settings: Pick<TrainSettings, "augConfig">): string =>
  ["the images of its next step", ...customAugmentations(settings)].join(", with ");

/** All code of a user in a process of a run, in words. @param rank of the process: callbacks are called on rank 0 */
export function customCode(settings: Partial<Pick<TrainSettings, "augConfig" | "callbacks">>, rank: number): string[] {
  const { callbacks } = settings;
  return [...(callbacks == null || rank > 0 ? [] : [`the callbacks ${callbacks}`]), ...customAugmentations(settings)];
}
