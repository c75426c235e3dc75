// Settings of a run that is continued.
import { resolveSettings } from "../../settings/resolve.js";
import type { TrainSettings } from "../../settings/settings.js";
import { addHint, RfdetrError } from "../../support/errors.js";
import { type SavedProgress, soundCheckpoint } from "../files/checkpoint.js";
import { RunDirectory } from "../files/run-directory.js";
import type { RunConfig } from "./run-config.js";

/** The settings that a run began with. @throws RunDirectoryError when the folder is not that of a run */
export function resumeConfig(folder: string): TrainSettings {
  const config = RunDirectory.at(folder).readJson("config.json") as RunConfig;
  return resolveSettings(config.settings);
}

/**
 * The checkpoint that a run continues from, and what to tell the user of it; null for a run that was killed before its
 * first.
 * @throws CheckpointError where there was one and none can be used
 */
export function findCheckpoint(directory: RunDirectory): { progress: SavedProgress; warning: string | null } | null {
  if (!directory.hasCheckpoint()) return null;
  try {
    return soundCheckpoint(directory.checkpoint);
  } catch (error) {
    const { weights } = directory;
    if (!RfdetrError.is(error) || weights === null) throw error;
    throw addHint(error, `Start a new run from its weights with \`weights\` ${weights}`);
  }
}
