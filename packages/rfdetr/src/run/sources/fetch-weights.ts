// The weights that a new run begins with, which may have to be downloaded first.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { hasSplit } from "../../data/open-dataset.js";
import type { TrainSettings } from "../../settings/settings.js";
import { type DownloadOptions, resolveWeights } from "../../weights/published/published-weights.js";

/**
 * The settings with the path of the weights in place of their name. What is published is downloaded, unless it is there
 * already. A dataset that is not there is found before that.
 * @throws CheckpointError if the weights are not there and cannot be downloaded
 * @throws DataError if there is no dataset
 */
export async function fetchWeights(settings: TrainSettings, options: DownloadOptions = {}): Promise<TrainSettings> {
  const { weights, model, datasetDir } = settings;
  if (weights === null) return settings;
  if (weights === "coco" || !existsSync(weights)) hasSplit(datasetDir, "train");
  return { ...settings, weights: resolve(await resolveWeights(weights, { ...options, model })) };
}
