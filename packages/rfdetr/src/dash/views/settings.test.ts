import { expect, it } from "vitest";
import { type SettingName, settings } from "../../settings/settings.js";
import { isExplained, shownSettings } from "./settings.js";

it("settings that are null are shown as what they came to, or mean", () => {
  const shown = shownSettings(
    { resolution: null, num_queries: null, max_steps: null, lr: 1e-4, unknown: null },
    { resolution: 384 },
    null,
  );
  expect(shown).toEqual({
    resolution: 384,
    num_queries: "not set",
    max_steps: "none: all epochs",
    lr: 1e-4,
    unknown: "not set",
  });
});

it("a drawn seed is shown as the seed that was drawn, where the run tells", () => {
  expect(shownSettings({ seed: null }, {}, 17)).toEqual({ seed: 17 });
  expect(shownSettings({ seed: null }, {}, null)).toEqual({ seed: "drawn" });
});

it("changes of the precision are shown in words, those of other versions as they are", () => {
  const changes = [
    { step: 4, pattern: "transformer.*", rule: "fp32" },
    { step: 9, undo: true },
  ];
  const words = (value: unknown) => shownSettings({ precision_changes: value }, {}, null).precision_changes;
  expect(words(changes)).toBe("from step 4 transformer.* in fp32, from step 9 the last one taken back");
  expect(words([])).toBe("none");
  expect(words([{ step: 4, since: "later" }])).toEqual([{ step: 4, since: "later" }]);
});

it("every setting that may be null is explained", () => {
  const names = Object.keys(settings) as SettingName[];
  const nullable = names.filter((name) => settings[name].type.safeParse(null).success);
  expect(nullable.length).toBeGreaterThan(10);
  expect(nullable.filter((name) => !isExplained(name))).toEqual([]);
});
