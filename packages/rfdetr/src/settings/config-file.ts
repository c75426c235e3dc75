// Config files: settings as JSON or YAML, or what a module of the user exports.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { GivenData } from "../data/custom/data-path.js";
import { ConfigError } from "../support/errors.js";
import { reasonOf } from "../support/files/system-error.js";
import { shown } from "../support/shown.js";
import { readConfigFile, settingsIn } from "./resolve.js";
import type { TrainOptions } from "./settings.js";

/** The settings of a config file, whose `data` (or `datasetDir`) may also be a custom dataset, or several datasets. */
export type ConfigFile = Omit<TrainOptions, "datasetDir"> & {
  data?: string | GivenData;
  datasetDir?: string | GivenData;
};

/**
 * The settings of a config file, with their types checked while they are typed. It changes nothing.
 * @example
 * import { defineConfig } from "rfdetr";
 * export default defineConfig({ model: "small", epochs: 50, freeze: ["backbone.*"] });
 */
export function defineConfig(config: ConfigFile): ConfigFile {
  return config;
}

/**
 * Reads a config file of any kind: JSON, YAML, or a JavaScript module whose default export holds the settings. A module
 * is run.
 * @throws ConfigError naming a file that cannot be read, a module that fails, or one that has no settings
 */
export async function loadConfig(path: string): Promise<Record<string, unknown>> {
  if (!/\.[cm]?[jt]s$/i.test(path) || !existsSync(path)) return readConfigFile(path);
  let config: unknown;
  try {
    ({ default: config } = await import(pathToFileURL(resolve(path)).href));
    // Getters are code of the user too.
    if (typeof config === "object" && config !== null && !Array.isArray(config)) return settingsIn({ ...config });
  } catch (error) {
    throw new ConfigError(`The config file ${path} cannot be loaded: ${reasonOf(error)}`, { cause: error });
  }
  throw new ConfigError(
    `Expected an object of settings as the default export of ${path} but received ${shown(config)}`,
  );
}
