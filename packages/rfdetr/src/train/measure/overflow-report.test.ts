import { describe, expect, it } from "vitest";
import { advise, formatOverflowReport, type OverflowReport } from "./overflow-report.js";

const facts = { name: "input", dtype: "float32", shape: [3, 4], min: 0, max: 300, amax: 300, nan: 0, infinite: 0 };
const report = (changes: Partial<OverflowReport>): OverflowReport => {
  const all: Omit<OverflowReport, "advice"> = {
    ...{ step: 7, precision: "32-true", scale: 1, files: ["a.jpg", "b.jpg"] },
    ...{ phase: "forward", module: "blocks.2.inner", operator: "linear", inputs: [facts], weights: [] },
    ...{ output: { ...facts, name: "output", infinite: 12 }, readers: [], bad_parameter: null, bad_parameters: 0 },
    trail: [{ path: "blocks.0.inner", operator: "linear", dtype: "float32", amax: 3 }],
    ...changes,
  };
  return { ...all, advice: advise(all) };
};
const remedy = (changes: Partial<OverflowReport>): string => report(changes).advice[0];

describe("the report of a step that was not finite", () => {
  it("says what to do, by where the fault came up", () => {
    const bad = [{ ...facts, nan: 3 }];
    expect(remedy({ phase: "input", module: "images", inputs: bad })).toMatch(
      /3 NaN of 12 values before the model saw it/,
    );
    expect(remedy({ phase: "weight", module: "stem.weight", weights: bad })).toMatch(
      /stem.weight holds 3 NaN of 12 values/,
    );
    expect(remedy({ output: { ...facts, dtype: "float16" } })).toContain('"blocks.*.inner": "fp32"');
    expect(remedy({ phase: "target" })).toContain("check the boxes of this batch's annotations");
    expect(remedy({ phase: "loss" })).toContain("The model's outputs were finite but the loss was not");
    expect(remedy({ phase: "backward", precision: "16-mixed", scale: 2 ** 40 })).toMatch(
      /loss scale of 1099511627776 carried a gradient past float16's 65504/,
    );
    expect(remedy({ phase: "none" })).toMatch(/stayed finite/);
  });

  it("reads as text: step, place, images, values, modules, remedy", () => {
    const text = formatOverflowReport(report({ bad_parameter: "stem.weight", bad_parameters: 2 }));
    expect(text.split("\n\n").map((part) => part.split("\n")[0].replace(/ +/g, " "))).toEqual([
      "Step 7, 32-true: first not finite in the output of blocks.2.inner (linear).",
      "Images: a.jpg, b.jpg",
      expect.stringMatching(/name dtype shape min max NaN infinite/),
      "Modules that ran before:",
      "Gradients that were not finite: 2, the first of stem.weight.",
      expect.stringMatching(/^→ blocks.2.inner produced this value from finite inputs/),
    ]);
    expect(formatOverflowReport(report({ precision: "16-mixed", scale: 8 }))).toMatch(
      /^Step 7, 16-mixed, loss scale 8: /,
    );
  });
});
