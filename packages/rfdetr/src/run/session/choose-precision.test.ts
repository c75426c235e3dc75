import { describe, expect, it } from "vitest";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { resolveSettings } from "../../settings/resolve.js";
import { choosePrecision } from "./choose-precision.js";
import type { TrainData } from "./training-data.js";

describe("choosePrecision", () => {
  // Nothing is measured: neither model nor data is looked at.
  const unused = { model: null as unknown as RFDETRModel, data: null as unknown as TrainData, before: null };
  const note = async (options: object) =>
    (await choosePrecision(resolveSettings({ datasetDir: "-", ...options }), "cpu", unused)).note ?? "";

  it("says which settings of precision have no effect in the one that is used", async () => {
    const settings = {
      precision_policy: "pytorch-cuda",
      precision_operators: { "aten::relu": "fp32" },
      precision_overrides: { "backbone.*": "lower" },
      precision_changes: [{ step: 3, pattern: "backbone.*", rule: "bf16" }],
    };
    expect(await note({ ...settings, precision: "32-true" })).toBe(
      "In 32-true, precision_policy, precision_operators, precision_overrides, precision_changes have no effect",
    );
    expect(await note({ ...settings, precision: "bf16-mixed" })).not.toContain("no effect");
    expect(await note({ precision: "32-true", precision_overrides: { "backbone.*": "fp32" } })).toBe("");
  });
});
