// The flags of `rfdetr train` that set one setting each.
import type { SettingName } from "../../settings/settings.js";

/** The setting of each flag. */
export const settingOfFlag = {
  data: "dataset_dir",
  model: "model",
  weights: "weights",
  out: "output_dir",
  epochs: "epochs",
  batch: "batch_size",
  accumulate: "grad_accum_steps",
  lr: "lr",
  precision: "precision",
  numberFormat: "number_format",
  device: "device",
  seed: "seed",
  resolution: "resolution",
  processes: "processes",
  timeBudget: "time_budget",
} as const satisfies Readonly<Record<string, SettingName>>;

/** A flag as it is written, by its name in programs: `--time-budget` for `timeBudget`. */
export function writtenFlag(flag: string): string {
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** How a setting is given on the command line: its flag, or `--set`. */
export function flagOfSetting(name: SettingName, value = "…"): string {
  const flag = Object.entries(settingOfFlag).find(([, setting]) => setting === name)?.[0];
  return flag === undefined ? `--set ${name}=${value}` : writtenFlag(flag);
}
