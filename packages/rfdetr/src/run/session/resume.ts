// Settings of a run that is continued.
import type { Precision } from "@rfdetr/amp";
import { resolveSettings } from "../../settings/resolve.js";
import type { TrainSettings } from "../../settings/settings.js";
import { RunDirectory } from "../files/run-directory.js";

/** What `config.json` of a run holds. */
export interface RunConfig {
  settings: Record<string, unknown>;
  seed: number;
  class_names: string[];
  model_config: Record<string, unknown>;
  precision: Precision;
  reason: string;
  hardware: string;
  versions: { rfdetr: string; node: string; libtorch: string };
}

/** The settings a run began with. @throws RunDirectoryError when the folder is no run. */
export function resumeConfig(folder: string): TrainSettings {
  const config = RunDirectory.open(folder).readJson("config.json") as RunConfig;
  return resolveSettings(config.settings);
}
