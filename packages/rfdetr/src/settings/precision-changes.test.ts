import { describe, expect, it } from "vitest";
import { overridesAt, overridesSet } from "./precision-changes.js";
import { resolveSettings } from "./resolve.js";

const settings = (precisionChanges: unknown[]) =>
  resolveSettings({ datasetDir: "-", precisionOverrides: { a: "fp32" }, precisionChanges });

describe("changes of precision in a run", () => {
  it("hold from their step on, and undo takes back the last one that is left", () => {
    const changed = settings([
      { step: 3, pattern: "b", rule: "fp32" },
      { step: 5, pattern: "c", rule: "bf16" },
      { step: 7, undo: true },
      { step: 9, undo: true },
    ]);
    const at = (step: number) => overridesAt(changed, step);
    expect(at(2)).toEqual({ a: "fp32" });
    expect(at(3)).toEqual({ a: "fp32", b: "fp32" });
    expect(at(5)).toEqual({ a: "fp32", b: "fp32", c: "bf16" });
    expect(at(7)).toEqual(at(4));
    expect(at(9)).toEqual(at(1));
    expect(overridesSet(changed.precisionChanges)).toBe(0);
  });

  it("stand behind the overrides before them, because of those that match a module the last one counts", () => {
    const changed = settings([
      { step: 1, pattern: "b", rule: "fp32" },
      { step: 2, pattern: "a", rule: "lower" },
    ]);
    expect(Object.entries(overridesAt(changed, 2))).toEqual([
      ["b", "fp32"],
      ["a", "lower"],
    ]);
  });

  it("of one step all hold, in their order", () => {
    const changed = settings([
      { step: 4, pattern: "b", rule: "fp32" },
      { step: 4, undo: true },
      { step: 4, pattern: "c", rule: "keep" },
    ]);
    expect(overridesAt(changed, 4)).toEqual({ a: "fp32", c: "keep" });
  });

  it.each([
    [[{ step: 2, undo: true }]],
    [
      [
        { step: 5, pattern: "b", rule: "fp32" },
        { step: 4, undo: true },
      ],
    ],
    [[{ step: 0, pattern: "b", rule: "fp32" }]],
    [[{ step: 1, pattern: "b", rule: "fp8" }]],
    [[{ step: 1, pattern: "b", rule: "fp32", undo: true }]],
  ])("cannot be %j", (changes) => {
    expect(() => settings(changes)).toThrow(/^Expected a list of .* for precision_changes but received/);
  });
});
