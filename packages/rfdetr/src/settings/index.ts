// `rfdetr/settings`: the settings of a training run, their checks and their files. Loads no libtorch.

export { defineConfig, loadConfig } from "./config-file.js";
export { configSchema } from "./config-schema.js";
export { type Refusal, refused } from "./refused-settings.js";
export { kindOf, presetOf, readConfigFile, resolveSettings, toFile } from "./resolve.js";
export type { Setting } from "./setting.js";
export {
  type ReadySettings,
  type SettingName,
  settings,
  type TrainOptions,
  type TrainSettings,
} from "./settings.js";
