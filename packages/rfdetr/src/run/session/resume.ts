// Settings of a run that is continued.
import { resolveSettings } from "../../settings/resolve.js";
import type { TrainSettings } from "../../settings/settings.js";
import { RunDirectory } from "../files/run-directory.js";
import type { RunConfig } from "./run-config.js";

/** The settings that a run began with. @throws RunDirectoryError when the folder is not that of a run */
export function resumeConfig(folder: string): TrainSettings {
  const config = RunDirectory.at(folder).readJson("config.json") as RunConfig;
  return resolveSettings(config.settings);
}
