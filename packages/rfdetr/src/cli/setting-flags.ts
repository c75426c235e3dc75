// Flags that hold settings as text: `--set key=value` and `--override pattern=rule`.
import { checkSetting } from "../settings/resolve.js";
import type { TrainSettings } from "../settings/settings.js";
import { expected, UsageError } from "../support/errors.js";

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
