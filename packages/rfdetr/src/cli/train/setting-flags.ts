// The settings of a command line: flags of their own, `--set key=value`, `--override pattern=rule`, `--config`.
import { checkSetting, readConfigFile } from "../../settings/resolve.js";
import type { SettingName, TrainSettings } from "../../settings/settings.js";
import { expected, UsageError } from "../../support/errors.js";
import { snakeCase } from "../../support/names.js";
import { settingOfFlag, writtenFlag } from "./train-flags.js";

/** The flags of `rfdetr train` that hold settings. */
export type SettingFlags = Record<string, unknown> & {
  /** A config file, or what it holds. */
  config?: string | Record<string, unknown>;
  set?: readonly string[];
  override?: readonly string[];
  amp: boolean;
};

/** Settings that say one thing together: whoever gives one of them means it instead of what a file has. */
const ofPrecision: readonly string[] = ["precision", "amp", "amp_dtype"] satisfies SettingName[];

/**
 * The settings that the flags give, by their names in files: those of `--config`, replaced by those of the command
 * line.
 * @throws UsageError for a setting that the command line gives twice, ConfigError for a value that cannot be
 */
export function settingsOf(flags: SettingFlags): Record<string, unknown> {
  const given = new Map<string, { shown: string; value: unknown }>();
  const give = (name: string, shown: string, value: unknown): void => {
    const before = given.get(name);
    if (before !== undefined)
      throw new UsageError(`Expected ${name} once but received ${before.shown} and ${shown}: leave one out`);
    given.set(name, { shown, value });
  };
  for (const text of flags.set ?? []) {
    const [key, value] = parseAssignment(text);
    give(snakeCase(key), `--set ${text}`, value);
  }
  if (!flags.amp) give("amp", "--no-amp", false);
  for (const [flag, name] of Object.entries(settingOfFlag))
    if (flags[flag] !== undefined)
      give(name, writtenFlag(flag), checkSetting(name, flags[flag], writtenFlag(flag).slice(2)));
  const file = Object.entries(typeof flags.config === "string" ? readConfigFile(flags.config) : (flags.config ?? {}));
  const replaced = new Set([...given.keys(), ...(ofPrecision.some((name) => given.has(name)) ? ofPrecision : [])]);
  const settings = new Map<string, unknown>(file.filter(([key]) => !replaced.has(snakeCase(key))));
  for (const [name, { value }] of given) settings.set(name, value);
  if (flags.override !== undefined)
    settings.set("precision_overrides", {
      ...(settings.get("precision_overrides") as object | undefined),
      ...parseOverrides(flags.override),
    });
  return Object.fromEntries(settings);
}

/**
 * Reads a `key=value`. The value is JSON if it parses, text otherwise.
 * @throws UsageError for text without a key
 */
export function parseAssignment(text: string): [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(expected("key=value", "set", text));
  const value = text.slice(at + 1);
  try {
    return [text.slice(0, at), JSON.parse(value)];
  } catch {
    return [text.slice(0, at), value];
  }
}

/**
 * Reads `pattern=rule` pairs.
 * @throws UsageError for text that is not a pair, ConfigError for an unknown rule
 */
export function parseOverrides(pairs: readonly string[]): TrainSettings["precisionOverrides"] {
  const given = pairs.map((text) => {
    const at = text.lastIndexOf("=");
    if (at < 1) throw new UsageError(expected("pattern=rule", "override", text));
    return [text.slice(0, at), text.slice(at + 1)];
  });
  return checkSetting(
    "precision_overrides",
    Object.fromEntries(given),
    "override",
  ) as TrainSettings["precisionOverrides"];
}
