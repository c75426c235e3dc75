// The settings of a run as a reader wants them: where one says null, what it came to.
import { changesInWords, precisionChanges } from "../../settings/precision-changes.js";
import type { SettingName } from "../../settings/settings.js";
import { camelCase } from "../../support/names.js";

/** Settings whose null takes what the variant of the model has. */
const ofVariant: readonly SettingName[] = [
  "resolution",
  "num_queries",
  "group_detr",
  "num_select",
  "mask_downsample_ratio",
];

/** What null means for each other setting that may be null. */
const meanings: Partial<Record<SettingName, string>> = {
  amp_dtype: "none: 32-true",
  aug_config: "as augment says",
  callbacks: "none",
  class_names: "any",
  eval_batch_size: "as batch_size",
  max_steps: "none: all epochs",
  notes: "none",
  num_classes: "any number",
  number_format: "none",
  output_dir: "a new folder under runs/",
  seed: "drawn",
  threads: "one for each core",
  time_budget: "none: all epochs",
  weights: "none: random weights",
};

/**
 * @param model the sizes of the model, by their names in config.json
 * @param seed that the run has, also where it was drawn; null where the run does not tell
 */
export function shownSettings(
  settings: Readonly<Record<string, unknown>>,
  model: Readonly<Record<string, unknown>>,
  seed: number | null,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      if (name === "seed" && seed !== null) return [name, seed];
      const changes = name === "precision_changes" ? precisionChanges.safeParse(value).data : undefined;
      if (changes !== undefined) return [name, changesInWords(changes)];
      if (value !== null) return [name, value];
      const own = ofVariant.includes(name as SettingName) ? model[camelCase(name)] : undefined;
      return [name, own ?? meanings[name as SettingName] ?? "not set"];
    }),
  );
}

/** Whether it is known what null means for a setting. @internal for tests */
export const isExplained = (name: SettingName): boolean => ofVariant.includes(name) || meanings[name] !== undefined;
