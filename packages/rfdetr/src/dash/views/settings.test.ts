import { expect, it } from "vitest";
import { type SettingName, settings } from "../../settings/settings.js";
import { isExplained, shownSettings } from "./settings.js";

it("settings that are null are shown as what they came to, or mean", () => {
  const shown = shownSettings(
    { resolution: null, num_queries: null, max_steps: null, lr: 1e-4, unknown: null },
    { resolution: 384 },
  );
  expect(shown).toEqual({
    resolution: 384,
    num_queries: "not set",
    max_steps: "none: all epochs",
    lr: 1e-4,
    unknown: "not set",
  });
});

it("every setting that may be null is explained", () => {
  const names = Object.keys(settings) as SettingName[];
  const nullable = names.filter((name) => settings[name].type.safeParse(null).success);
  expect(nullable.length).toBeGreaterThan(10);
  expect(nullable.filter((name) => !isExplained(name))).toEqual([]);
});
