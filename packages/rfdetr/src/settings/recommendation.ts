// The recommendation of a calibration as settings in a config file.
import { existsSync } from "node:fs";
import type { Calibration } from "@rfdetr/amp";
import { ConfigError } from "../support/errors.js";
import { replaceText } from "../support/files/atomic.js";
import { isRunConfig, readConfigFile, readObject } from "./resolve.js";

/** The settings that follow a recommendation. */
function recommendedSettings({ recommended, precisions }: Calibration): Record<string, unknown> {
  const row = precisions.find(({ precision }) => precision === recommended.precision);
  return {
    precision: recommended.precision,
    // Starting at the first scale with finite gradients avoids the skipped steps that find it.
    ...(recommended.precision === "16-mixed" && row !== undefined ? { scaler: { init: row.scale } } : {}),
  };
}

/**
 * Puts a recommendation into a config file, which is made where there is none; its other settings stay.
 * @returns what was put in. @throws ConfigError for a file that holds no settings, or is that of a run
 */
export function writeRecommendation(path: string, calibration: Calibration): Record<string, unknown> {
  if (existsSync(path) && isRunConfig(readObject(path)))
    throw new ConfigError(`Expected a file of settings to write into but ${path} is the record of a run`);
  const before = existsSync(path) ? readConfigFile(path) : {};
  const put = recommendedSettings(calibration);
  replaceText(path, `${JSON.stringify({ ...before, ...put }, null, 2)}\n`);
  return put;
}
