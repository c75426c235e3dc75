// The recommendation of a calibration as settings in a config file.
import { existsSync } from "node:fs";
import type { Calibration } from "@rfdetr/amp";
import { replaceText } from "../support/files/atomic.js";
import { readConfigFile } from "./resolve.js";

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
 * @returns what was put in. @throws ConfigError for a file that holds no settings
 */
export function writeRecommendation(path: string, calibration: Calibration): Record<string, unknown> {
  const before = existsSync(path) ? readConfigFile(path) : {};
  const put = recommendedSettings(calibration);
  replaceText(path, `${JSON.stringify({ ...before, ...put }, null, 2)}\n`);
  return put;
}
